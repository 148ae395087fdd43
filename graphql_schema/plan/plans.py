"""Plans that were made, by document: what is asked again is answered without resolvers.

A document comes in only when Strawberry has parsed, validated and begun to execute it: whatever
limits the schema sets have then let it pass. What a plan answers is always free of errors. Where
there will be one, or anything is not as the plan takes it to be, the resolvers answer, as if there
were no plan: reading twice does no harm.
"""

from collections import OrderedDict
from collections.abc import Awaitable
from typing import Any, TypeVar

import structlog
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    get_operation_ast,
    visit,
)
from graphql.execution.values import VariableValues, get_variable_values

from graphql_schema.access import sight
from graphql_schema.context import Context
from graphql_schema.cost import SIZES, cost, page_size, refuse_dear
from graphql_schema.documents import LONGEST_DOCUMENT, MOST_DOCUMENTS
from graphql_schema.plan.arguments import told
from graphql_schema.plan.compiler import Compiler, Plan
from graphql_schema.plan.declared import Unplanned
from graphql_schema.plan.run import Run
from hub.db.caller import Presented
from hub.errors import HubError

log = structlog.get_logger(__name__)

T = TypeVar("T")
MOST_SHAPES = 128
"""Of one document: by role, scopes, what variables give, filters and orders among them, and those
that include or skip."""


class Known:
    """A document that was executed before, and the plans of its operation."""

    def __init__(self, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self.operation = operation
        self.fragments = {
            one.name.value: one
            for one in document.definitions
            if isinstance(one, FragmentDefinitionNode)
        }
        asked = _Uses()
        visit(document, asked)
        self.conditions = tuple(sorted(asked.conditions))
        """The variables on which a field or a fragment is there at all."""
        self._sizes = tuple(sorted(asked.sizes))
        self._prices: dict[Any, int] = {}
        self.plans: dict[Any, Plan | None] = {}

    def price(self, schema: GraphQLSchema, variables: dict[str, Any]) -> int:
        """Return what the operation costs, which depends on the sizes of its pages alone."""
        # Nothing else of what is sent is kept: it may be long, and nobody has looked at it yet.
        sizes = tuple([(name in variables, page_size(variables.get(name))) for name in self._sizes])
        if sizes not in self._prices:
            if len(self._prices) >= MOST_SHAPES:
                self._prices.clear()
            self._prices[sizes] = cost(schema, self.operation, self.fragments, variables)
        return self._prices[sizes]


class Plans:
    """The plans of one schema."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._known: OrderedDict[tuple[str, str | None], Known | None] = OrderedDict()
        self.answered = 0
        """How many operations were answered by a plan."""

    def learn(self, query: str, name: str | None, document: DocumentNode) -> bool:
        """Remember a document that was found fit to be executed; returns whether it is new."""
        if (query, name) in self._known or len(query) > LONGEST_DOCUMENT:
            return False
        operation = get_operation_ast(document, name)
        reads = operation is not None and operation.operation is OperationType.QUERY
        self._known[query, name] = Known(document, operation) if operation and reads else None
        while len(self._known) > MOST_DOCUMENTS:
            self._known.popitem(last=False)
        return True

    async def answer(
        self, query: str, name: str | None, variables: dict[str, Any] | None, context: Context
    ) -> dict[str, Any] | None:
        """Return the data that an operation asks for; None: ask the resolvers."""
        known = self._known.get((query, name))
        if known is None:
            return None
        self._known.move_to_end((query, name))
        schema: GraphQLSchema = self._schema._schema
        given = get_variable_values(
            schema, known.operation.variable_definitions or (), variables or {}
        )
        if isinstance(given, list):
            return None
        plan = self._plan(known, given, context)
        if plan is None:
            return None
        try:
            price = known.price(schema, variables or {})
            refuse_dear(price)
            await context.charge(price)
            data = await run_plan(plan, Run(context, given))
        except (Unplanned, HubError, GraphQLError):
            return None
        self.answered += 1
        return data

    def _plan(self, known: Known, given: VariableValues, context: Context) -> Plan | None:
        shape = shape_of(known, given, context)
        if shape in known.plans:
            return known.plans[shape]
        if len(known.plans) >= MOST_SHAPES:
            return None
        try:
            made = Compiler(
                self._schema,
                fragments=known.fragments,
                operation=known.operation,
                variables=given,
                principal=context.principal,
            ).plan()
        except Unplanned:
            made = None
        known.plans[shape] = made
        return made


async def run_plan(plan: Plan, run: Run) -> dict[str, Any]:
    """Return what a plan answers; raises Unplanned, and what its arguments are refused with."""
    if plan.needs_setup:
        run.remembered = await _read(run.context.setup())
    for ask in plan.asks:
        run.asked.append(ask(run))
    run.caller = run.context.reader.facts(_presented(run))
    values = [value(run) for value in plan.values]
    run.rows = await _read(run.context.fetch(plan.sql, values))
    if run.rows[0] is not True:
        if plan.needs_setup:
            run.context.forget_setup(run.setup.edition)
        raise Unplanned("the group is not as the plan takes it to be")
    if plan.makes:
        run.made = [make(run) for make in plan.makes]
    data: dict[str, Any] = plan.build(run)
    return data


async def _read(reading: Awaitable[T]) -> T:
    """Return what is read; raises Unplanned where that fails."""
    try:
        return await reading
    except HubError:
        raise
    except Exception as failure:
        # The resolvers meet what is wrong with the server too, and say so.
        log.warning("plan_failed", error=type(failure).__name__)
        raise Unplanned("what it builds on cannot be read") from failure


def _presented(run: Run) -> Presented | None:
    """Return the identifier that the operation finds a member by, if any; raises Unplanned."""
    found = [one for one in run.asked if "digests" in one]
    if len(found) > 1:
        raise Unplanned("several identifiers are presented at once")
    return (found[0]["kind"], found[0]["digests"]) if found else None


def shape_of(known: Known, given: VariableValues, context: Context) -> Any:
    """Return all that a plan depends on: everything else is a parameter of its statement."""
    role = None if context.principal is None else context.principal.role
    values = given.coerced
    return (
        role,
        sight(context.principal),
        tuple(values.get(name) for name in known.conditions),
        tuple(part for name, value in values.items() for part in told(name, value)),
        tuple(name for name, value in values.items() if value is None),
    )


class _Uses(Visitor):
    """Finds the variables that say what is there at all, and how large pages are."""

    def __init__(self) -> None:
        super().__init__()
        self.conditions: set[str] = set()
        self.sizes: set[str] = set()

    def enter_directive(self, node: Any, *_: Any) -> None:
        self.conditions |= _variables(node.arguments)

    def enter_field(self, node: Any, *_: Any) -> None:
        sizes = [one for one in node.arguments or () if one.name.value in SIZES]
        self.sizes |= _variables(sizes)


def _variables(arguments: Any) -> set[str]:
    values = [argument.value for argument in arguments or ()]
    return {value.name.value for value in values if isinstance(value, VariableNode)}
