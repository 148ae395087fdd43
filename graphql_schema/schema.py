"""The one schema, with its limits."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from functools import cache, cached_property
from typing import Any

import strawberry
from graphql import (
    ASTValidationRule,
    FragmentDefinitionNode,
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    get_operation_ast,
)
from strawberry.extensions import (
    AddValidationRules,
    MaxTokensLimiter,
    ParserCache,
    SchemaExtension,
    ValidationCache,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter
from strawberry.schema.schema import SubscriptionResult
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError

from graphql_schema.accounting import AccountingMutation, AccountingQuery
from graphql_schema.accounting_policies import (
    AccountingPolicyMutation,
    AccountingPolicyQuery,
)
from graphql_schema.accounts import Account
from graphql_schema.adjusting import AdjustingMutation, AdjustmentQuery
from graphql_schema.agreements import AgreementMutation, AgreementQuery
from graphql_schema.audit import record
from graphql_schema.awarding import AwardingMutation
from graphql_schema.carting import CartMutation, CartQuery
from graphql_schema.clients import ClientMutation, ClientQuery
from graphql_schema.closing import ClosingMutation
from graphql_schema.context import Context
from graphql_schema.correcting import CorrectingMutation, CorrectingQuery
from graphql_schema.cost import cost, refuse_dear
from graphql_schema.denials import DenialQuery
from graphql_schema.disputing import DisputeQuery, DisputingMutation
from graphql_schema.entries import Entry
from graphql_schema.errors import told, too_slow
from graphql_schema.finding import MemberQuery
from graphql_schema.giving import GivingMutation
from graphql_schema.granting import GrantingMutation
from graphql_schema.history import HistoryQuery
from graphql_schema.holding import HoldingMutation
from graphql_schema.joining import JoiningMutation
from graphql_schema.journals import JournalMutation, JournalQuery
from graphql_schema.limits import SizeLimit
from graphql_schema.listing import MemberListQuery
from graphql_schema.matching import MatchingQuery
from graphql_schema.memberships import MembershipQuery
from graphql_schema.mending import MendingMutation
from graphql_schema.merging import MergingMutation
from graphql_schema.nodes import NodeQuery
from graphql_schema.ordering import OrderingMutation
from graphql_schema.paying import PayingMutation
from graphql_schema.pinning import PinningMutation
from graphql_schema.plan.plans import Plans
from graphql_schema.points import Hold, Lot
from graphql_schema.pooling import PoolingMutation
from graphql_schema.privacy import PrivacyMutation
from graphql_schema.programme import BusinessQuery
from graphql_schema.reconciling import ReconcilingMutation
from graphql_schema.reconciling_reads import ReconciliationQuery
from graphql_schema.referring import ReferringMutation
from graphql_schema.restoring import RestoringMutation
from graphql_schema.reviewing import ReviewingMutation
from graphql_schema.reviews import ReviewQuery
from graphql_schema.rewards import RewardOrder, RewardQuery
from graphql_schema.rules import ProgrammeQuery
from graphql_schema.scalars import SCALARS
from graphql_schema.scoped import guard
from graphql_schema.selling import SellingMutation
from graphql_schema.sessions import SessionMutation, SessionQuery
from graphql_schema.settlement import SettlementQuery
from graphql_schema.settlement_corrections import (
    SettlementCorrectionMutation,
    SettlementCorrectionQuery,
)
from graphql_schema.spending import SpendingMutation
from graphql_schema.stocking import StockingMutation
from graphql_schema.subscribing import Subscription
from graphql_schema.using import UsingMutation
from graphql_schema.verifying import VerifyingMutation
from graphql_schema.voucher_keeping import VoucherKeepingMutation
from graphql_schema.vouchering import VoucheringMutation
from graphql_schema.vouchers import VoucherQuery
from graphql_schema.watching import Watching, watched

MOST_TOKENS = 2000
CACHED_DOCUMENTS = 512


@strawberry.type(description="Everything that can be read.")
class Query(
    MemberQuery,
    MemberListQuery,
    CorrectingQuery,
    SettlementQuery,
    ReconciliationQuery,
    DenialQuery,
    DisputeQuery,
    SettlementCorrectionQuery,
    JournalQuery,
    AccountingQuery,
    AccountingPolicyQuery,
    AgreementQuery,
    ProgrammeQuery,
    BusinessQuery,
    MembershipQuery,
    HistoryQuery,
    MatchingQuery,
    AdjustmentQuery,
    ReviewQuery,
    ClientQuery,
    SessionQuery,
    RewardQuery,
    NodeQuery,
    VoucherQuery,
    CartQuery,
):
    """All reads."""


@strawberry.type(
    description="Everything that can be done. Each field is a transaction of its own; they run in "
    "the order written."
)
class Mutation(
    SpendingMutation,
    RestoringMutation,
    UsingMutation,
    HoldingMutation,
    GrantingMutation,
    SellingMutation,
    OrderingMutation,
    StockingMutation,
    AwardingMutation,
    GivingMutation,
    PoolingMutation,
    AdjustingMutation,
    MendingMutation,
    PrivacyMutation,
    PinningMutation,
    ReviewingMutation,
    VerifyingMutation,
    JoiningMutation,
    ReferringMutation,
    CorrectingMutation,
    MergingMutation,
    ClosingMutation,
    PayingMutation,
    ReconcilingMutation,
    DisputingMutation,
    SettlementCorrectionMutation,
    AgreementMutation,
    JournalMutation,
    AccountingMutation,
    AccountingPolicyMutation,
    ClientMutation,
    SessionMutation,
    VoucheringMutation,
    VoucherKeepingMutation,
    CartMutation,
):
    """All writes."""


class _Names(NameConverter):
    """Names of types that are made of others: `MemberEdge` is what joins a member's births."""

    def from_generic(self, *args: Any, **kwargs: Any) -> str:
        name = super().from_generic(*args, **kwargs)
        return "MemberListEdge" if name == "MemberEdge" else name


class HubSchema(strawberry.Schema):
    """A schema whose errors are fit to be read by callers, and logged by `told` alone."""

    async def execute(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Answer an operation as `strawberry.Schema.execute` does: by its plan, if it has one.

        What it shows of people in full is on record first; if it cannot be, nothing is shown.
        """
        context = kwargs.get("context_value")
        if isinstance(context, Context):
            data = await self.plans.answer(
                args[0] if args else kwargs["query"],
                kwargs.get("operation_name"),
                kwargs.get("variable_values"),
                context,
            )
            if data is not None:
                return ExecutionResult(data=data, errors=None)
        return await self.resolve(*args, **kwargs)

    async def resolve(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Answer an operation by its resolvers, whether there is a plan or not."""
        result = await super().execute(*args, **kwargs)
        return await _finished(result, kwargs.get("context_value"))

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
    def plans(self) -> Plans:
        """The plans of operations that were executed."""
        return Plans(self)

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log nothing here: messages may quote what people sent."""


async def _finished(result: ExecutionResult, context: object) -> ExecutionResult:
    """Return a result as the caller may read it, when what it shows is on record."""
    if isinstance(context, Context):
        try:
            await record(context)
        except Exception as failure:
            unrecorded = GraphQLError("the read is not on record", original_error=failure)
            result.data, result.errors = None, [unrecorded]
    if result.errors:
        result.errors = [told(error) for error in result.errors]
    return result


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


class _Learn(SchemaExtension):
    """Remembers what is executed, that is: what every limit has let pass."""

    def on_execute(self) -> Iterator[None]:
        asked = self.execution_context
        schema = asked.schema
        if isinstance(schema, HubSchema) and asked.query and asked.graphql_document:
            name = asked._provided_operation_name
            schema.plans.learn(asked.query, name, asked.graphql_document)
        yield


class CostLimit(SchemaExtension):
    """Refuses an operation that costs too much, and charges the caller for any other."""

    async def on_execute(self) -> AsyncIterator[None]:
        """Reckon what the operation costs before anything of it is done."""
        asked = self.execution_context
        document = asked.graphql_document
        operation = document and get_operation_ast(document, asked.operation_name)
        if document is not None and isinstance(operation, OperationDefinitionNode):
            fragments = {
                one.name.value: one
                for one in document.definitions
                if isinstance(one, FragmentDefinitionNode)
            }
            schema = asked.schema._schema
            price = cost(schema, operation, fragments, asked.variables)
            refuse_dear(price)
            if isinstance(asked.context, Context):
                await asked.context.charge(price)
        yield


@cache
def build_schema(*, debug: bool = False, introspection: bool = True) -> HubSchema:
    """Build the schema, once in a process for each choice.

    `debug` names near misses in errors, which helps a stranger to explore.

    Without `introspection` the schema is not told; `__typename` still is.
    """
    rules: list[type[ASTValidationRule]] = [SizeLimit]
    if not introspection:
        rules.append(NoSchemaIntrospectionCustomRule)
    # Limits come before the caches, which run what those add to validation.
    extensions: list[Callable[[], SchemaExtension]] = [
        lambda: MaxTokensLimiter(max_token_count=MOST_TOKENS),
        lambda: AddValidationRules(rules),
        lambda: ParserCache(maxsize=CACHED_DOCUMENTS),
        lambda: ValidationCache(maxsize=CACHED_DOCUMENTS),
        CostLimit,
        _Learn,
    ]
    schema = HubSchema(
        Query,
        Mutation,
        Subscription,
        types=[Account, Entry, Hold, Lot, RewardOrder],
        extensions=extensions,
        config=StrawberryConfig(
            scalar_map=SCALARS, disable_field_suggestions=not debug, name_converter=_Names()
        ),
    )
    guard(schema._schema)
    return schema
