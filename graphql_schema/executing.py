"""How an operation is answered: read, measured, priced; then by its plan, or by resolvers."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from contextlib import aclosing
from functools import cached_property
from typing import Any, NamedTuple

import strawberry
from graphql import (
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    execute,
)
from strawberry.execution import optimized_is_awaitable
from strawberry.extensions import SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.schema.schema import SubscriptionResult
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from graphql_schema.audit import record
from graphql_schema.context import Context
from graphql_schema.cost import cost, refuse_dear
from graphql_schema.documents import Document, Documents
from graphql_schema.errors import told, too_slow
from graphql_schema.plan.plans import Plans
from graphql_schema.plan.writes import Kept, Writes
from graphql_schema.watching import Watching, watched


class Asked(NamedTuple):
    """What is asked of a schema, in the order of `strawberry.Schema.execute`."""

    query: str
    variable_values: dict[str, Any] | None = None
    context_value: Any = None
    root_value: Any = None
    operation_name: str | None = None
    allowed_operation_types: Collection[OperationType] = (
        OperationType.QUERY,
        OperationType.MUTATION,
    )


class HubSchema(strawberry.Schema):
    """A schema whose errors are fit to be read by callers, and logged by `told` alone.

    Documents are read, measured and priced here, and what is left to resolvers is executed by
    graphql-core as it stands: Strawberry's own way there costs more than most operations.
    """

    introspected = True
    """Whether the schema is told to who asks."""

    async def execute(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Answer an operation as `strawberry.Schema.execute` does: by its plan, if it has one.

        What it shows of people in full is on record first; if it cannot be, nothing is shown.
        """
        asked = Asked(*args, **kwargs)
        data = await self._planned(asked)
        return await self._resolved(asked, may_plan=True) if data is None else _answer(data)

    async def resolve(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Answer an operation by its resolvers, whether there is a plan or not."""
        return await self._resolved(Asked(*args, **kwargs), may_plan=False)

    async def _planned(self, asked: Asked) -> dict[str, Any] | None:
        context = asked.context_value
        if not isinstance(context, Context):
            return None
        return await self.plans.answer(
            asked.query, asked.operation_name, asked.variable_values, context
        )

    async def _resolved(self, asked: Asked, *, may_plan: bool) -> ExecutionResult:
        """Answer what no plan has answered so far."""
        try:
            result = await self._begun(asked, may_plan=may_plan)
        except (CannotGetOperationTypeError, InvalidOperationTypeError):
            raise
        except Exception as failure:
            result = PreExecutionError(data=None, errors=[_as_error(failure)])
        return await _finished(result, asked.context_value)

    async def _begun(self, asked: Asked, *, may_plan: bool) -> ExecutionResult:
        document = self.documents.read(asked.query)
        operation = document.operation(asked.operation_name)
        if OperationType(operation.operation.value) not in asked.allowed_operation_types:
            raise InvalidOperationTypeError(OperationType(operation.operation.value))
        if document.wrong:
            return PreExecutionError(data=None, errors=list(document.wrong))
        context, data = asked.context_value, None
        kept = self.writes.kept(asked.query, document, operation)
        await self.charge(document, operation, asked.variable_values, context, kept)
        new = self.plans.learn(asked.query, asked.operation_name, document.node)
        if may_plan and new:
            data = await self._planned(asked)
        if may_plan and isinstance(context, Context) and data is None and kept is not None:
            data = await self.writes.answer(kept, asked.variable_values, context)
        return await self._executed(asked, document, operation) if data is None else _answer(data)

    async def _executed(
        self, asked: Asked, document: Document, operation: OperationDefinitionNode
    ) -> ExecutionResult:
        """Have graphql-core execute an operation that is fit for it."""
        is_awaitable: Any = optimized_is_awaitable
        found: Any = execute(
            self._schema,
            document.node,
            root_value=asked.root_value,
            context_value=asked.context_value,
            variable_values=asked.variable_values,
            operation_name=operation.name.value if operation.name else None,
            is_awaitable=is_awaitable,
            hide_suggestions=self.config.disable_field_suggestions,
            executor_class=self.execution_context_class,
        )
        if is_awaitable(found):
            found = await found
        return ExecutionResult(data=found.data, errors=found.errors)

    async def charge(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: dict[str, Any] | None,
        context: object,
        kept: Kept | None = None,
    ) -> None:
        """Refuse an operation that costs too much, and charge the caller for any other."""
        if kept is not None:
            price = kept.known.price(self._schema, variables or {})
        else:
            price = cost(self._schema, operation, document.fragments, variables)
        refuse_dear(price)
        if isinstance(context, Context):
            await context.charge(price)

    async def watch(
        self, query: str, context: Watching, **asked: Any
    ) -> AsyncGenerator[ExecutionResult]:
        """Answer a subscription: each state as `execute` answers, once it is on record.

        What keeps it from beginning comes first, as a PreExecutionError. A look has as long as
        any operation.
        """
        source = await self.subscribe(query, context_value=context, **asked)
        began = False
        try:
            async with aclosing(source):
                while True:
                    result = await _next(source, context)
                    if result is None:
                        return
                    result = await _finished(result, context)
                    watched(result, context=context)
                    await context.end_look()
                    if not began and result.errors and result.data is None:
                        yield PreExecutionError(data=None, errors=result.errors)
                        return
                    yield result
                    began = True
                    if result.data is None and not context.untold:
                        return
        finally:
            await context.end_look()

    @cached_property
    def documents(self) -> Documents:
        """The documents that were sent."""
        return Documents(
            self._schema,
            () if self.introspected else (NoSchemaIntrospectionCustomRule,),
            hide_suggestions=self.config.disable_field_suggestions,
        )

    @cached_property
    def plans(self) -> Plans:
        """The plans of operations that were executed."""
        return Plans(self)

    @cached_property
    def writes(self) -> Writes:
        """The mutations that were done, and how they are answered."""
        return Writes(self)

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log nothing here: messages may quote what people sent."""


def _answer(data: dict[str, Any]) -> ExecutionResult:
    return ExecutionResult(data=data, errors=None)


def _as_error(failure: Exception) -> GraphQLError:
    if isinstance(failure, GraphQLError):
        return failure
    return GraphQLError(str(failure), original_error=failure)


async def _finished(result: ExecutionResult, context: object) -> ExecutionResult:
    """Return a result as the caller may read it, when what it shows is on record."""
    if isinstance(context, Context):
        try:
            await record(context)
        except Exception as failure:
            unrecorded = GraphQLError("the read is not on record", original_error=failure)
            result.data, result.errors = None, [unrecorded]
    if result.errors:
        # As they are met is by chance: what is asked twice is answered alike.
        result.errors = [told(error) for error in sorted(result.errors, key=_place)]
    return result


def _place(error: GraphQLError) -> tuple[list[Any], list[Any]]:
    """Return where an error is, in the document and then in the answer."""
    return [(one.line, one.column) for one in error.locations or ()], list(error.path or ())


async def _next(source: SubscriptionResult, context: Watching) -> ExecutionResult | None:
    """Return the next state, None after the last; an error when a look takes too long."""
    try:
        async with asyncio.timeout(context.look_seconds) as context.limit:
            return await anext(source)
    except StopAsyncIteration:
        return None
    except TimeoutError:
        return ExecutionResult(data=None, errors=[too_slow(context.look_seconds)])
    except GraphQLError as unfit:  # a document that does not parse
        return ExecutionResult(data=None, errors=[unfit])


class Fit(SchemaExtension):
    """Has a subscription read, measured and priced like any operation."""

    def on_parse(self) -> Iterator[None]:
        """Read the document, once for all who send it."""
        asked, schema = self.execution_context, self.execution_context.schema
        if isinstance(schema, HubSchema) and asked.query:
            self._document = schema.documents.read(asked.query)
            asked.graphql_document = self._document.node
        yield

    def on_validate(self) -> Iterator[None]:
        """Say what reading it found wrong, or that it is not said which operation is meant."""
        asked = self.execution_context
        asked.pre_execution_errors = list(self._document.wrong)
        try:
            self._document.operation(asked._provided_operation_name)
        except CannotGetOperationTypeError:
            asked.pre_execution_errors.append(GraphQLError("of several operations say one by name"))
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        """Reckon what the operation costs before anything of it is done."""
        asked, schema = self.execution_context, self.execution_context.schema
        if isinstance(schema, HubSchema):
            operation = self._document.operation(asked.operation_name)
            await schema.charge(self._document, operation, asked.variables, asked.context)
        yield
