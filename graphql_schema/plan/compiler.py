"""From an operation to its plan: one statement, and one function that builds the answer."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Self

from graphql import (
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    is_object_type,
)
from graphql.execution.collect_fields import (
    FieldDetails,
    FragmentDetails,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues
from strawberry.schema.schema_converter import GraphQLCoreConverter

from graphql_schema import access
from graphql_schema.plan import parts
from graphql_schema.plan.arguments import Arguments
from graphql_schema.plan.asked import Asked
from graphql_schema.plan.declared import (
    BusinessOf,
    Column,
    Found,
    Looked,
    Made,
    Paged,
    Related,
    Unplanned,
    Viewed,
    Within,
)
from graphql_schema.plan.run import Row, Run
from graphql_schema.plan.source import Built, Part, Source, rows_made, rows_read
from graphql_schema.plan.statement import Fixed, Level, Statement, Value
from graphql_schema.scoped import is_open
from hub.benefits.reckoned import Reckoned
from hub.benefits.setup import BUSINESS_COLUMNS
from hub.crypto.tokens import Principal, Role
from hub.db.relation import Relation, parameters
from hub.errors import HubError
from hub.privacy.shown_to import EVERYTHING, SHOWN

_BACKREF = GraphQLCoreConverter.DEFINITION_BACKREF
Ask = Callable[[Run], Mapping[str, Any]]
Make = Callable[[Run], Sequence[Row]]
Selected = list[tuple[str, list[FieldDetails]]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How an operation is answered: what is asked of its arguments, the statement, the builder."""

    asks: tuple[Ask, ...]
    sql: str
    values: tuple[Value, ...]
    needs_setup: bool
    """Whether it builds on how the programme is set up (`Context.setup`)."""
    makes: tuple[Make, ...]
    """What is made of the statement's answer, before the builder: `Run.made`."""
    build: Built


class Compiler:
    """Makes the plan of one operation for callers of one role, under variables of one shape."""

    def __init__(
        self,
        schema: Any,
        *,
        fragments: dict[str, FragmentDefinitionNode],
        operation: OperationDefinitionNode,
        variables: VariableValues,
        principal: Principal | None,
    ) -> None:
        self._strawberry = schema
        self._schema: GraphQLSchema = schema._schema
        self._fragments = {name: FragmentDetails(one) for name, one in fragments.items()}
        self._operation, self._variables, self._principal = operation, variables, principal
        self._begin()

    def _begin(self) -> None:
        self._statement = Statement(access.reader(self._principal))
        self._source = Source()
        self._asks: list[Ask] = []
        self._makes: list[Make] = []
        self._wholes: dict[tuple[Relation, str], int] = {}

    def _fresh(self) -> Self:
        """Return a compiler of the same operation, for a statement of its own."""
        made = copy(self)
        made._begin()
        return made

    def plan(self) -> Plan:
        """Return the plan; raises Unplanned where the operation is one for the resolvers."""
        query = self._schema.query_type
        if query is None:
            raise Unplanned("no queries")
        collected = collect_fields(
            self._schema, self._fragments, self._variables, query, self._operation
        )
        for details in collected.grouped_field_set.values():
            if not is_open(details[0].node.name.value, self._principal):
                raise Unplanned("the caller is refused")
        part = self._object(query, list(collected.grouped_field_set.items()), Level(""))
        return self._made_of(part)

    def _made_of(self, part: Part) -> Plan:
        build = self._source.function(part("()"))
        said, makes = self._statement, tuple(self._makes)
        return Plan(tuple(self._asks), said.sql, said.values, said.needs_setup, makes, build)

    def _object(self, type_: GraphQLObjectType, selected: Selected, level: Level) -> Part:
        fields = [(key, self._field(type_, details, level)) for key, details in selected]
        return parts.object_part(fields)

    def _sub(self, type_: Any, details: list[FieldDetails], level: Level) -> Part:
        """Return what builds objects of a type from rows of `level`."""
        named = get_named_type(type_)
        return self._object(named, self._selected(named, details), level)

    def _selected(self, type_: Any, details: list[FieldDetails]) -> Selected:
        if not is_object_type(type_):
            raise Unplanned(f"{type_} is no object type")
        collected = collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, type_, details
        )
        return list(collected.grouped_field_set.items())

    def _field(self, type_: GraphQLObjectType, details: list[FieldDetails], level: Level) -> Part:
        name = details[0].node.name.value
        if name == "__typename":
            return parts.constant(type_.name)
        declared = type_.fields.get(name)
        if declared is None:
            raise Unplanned(f"{name} tells of the schema")
        origin = type_.extensions[_BACKREF].origin
        if name == "id" and hasattr(origin, "node_key"):
            places = [level.pick(column) for column in origin.node_key]
            return parts.node_id_part(self._source, places, type_.name)
        asked = Asked(
            name=name,
            details=details,
            field=declared.extensions[_BACKREF],
            type=declared.type,
            arguments=Arguments(declared, details[0].node, self._variables, self._strawberry),
        )
        return self._planned(asked, level)

    def _planned(self, asked: Asked, level: Level) -> Part:
        plan = asked.plan
        makers: dict[type, Callable[[Asked, Any, Level], Part]] = {
            Column: self._column,
            Made: self._made,
            Looked: self._looked,
            Within: self._in_row,
            BusinessOf: self._business,
            Related: self._related,
            Viewed: self._viewed,
            Paged: self._paged,
            Found: self._found,
        }
        if type(plan) not in makers:
            raise Unplanned(f"{asked.name} has a resolver and no plan")
        return makers[type(plan)](asked, plan, level)

    def _made(self, asked: Asked, plan: Made, level: Level) -> Part:
        places = [level.pick(column) for column in plan.columns]
        return parts.made_part(self._source, places, plan.make, asked.leaf, nullable=asked.nullable)

    def _looked(self, asked: Asked, plan: Looked, level: Level) -> Part:
        place = level.pick_sql(f"({plan.query.format(f'{level.alias}.{plan.column}')})")
        return parts.leaf_part(self._source, place, None, asked.leaf, nullable=asked.nullable)

    def _in_row(self, asked: Asked, plan: Within, level: Level) -> Part:
        build = self._sub(asked.type, asked.details, level)
        return parts.within_part(level.pick(plan.column), build)

    def _column(self, asked: Asked, plan: Column, level: Level) -> Part:
        leaf = asked.leaf
        if plan.readers is not None and not plan.readers(self._caller()):
            return parts.constant(None)
        place = level.pick(plan.name or asked.field.python_name)
        return parts.leaf_part(self._source, place, plan.show, leaf, nullable=asked.nullable)

    def _business(self, asked: Asked, plan: BusinessOf, level: Level) -> Part:
        self._statement.need_setup()
        build = self._sub(asked.type, asked.details, Fixed(BUSINESS_COLUMNS))
        return parts.business_part(self._source, level.pick(plan.column), build, many=plan.many)

    def _related(self, asked: Asked, plan: Related, level: Level) -> Part:
        if plan.readers is not None and not plan.readers(self._caller()):
            return parts.constant([] if plan.many else None)
        if asked.arguments.given.intersection(plan.unless):
            raise Unplanned(f"{asked.name} with arguments that no plan answers")
        if isinstance(plan.relation, Reckoned):
            return self._reckoned(asked, plan, plan.relation, level)
        if plan.lean is not None and self._enough(asked, plan.lean):
            return self._reckoned(asked, plan, plan.lean, level)
        return self._rows_of(asked, plan, plan.relation, level)

    def _enough(self, asked: Asked, what: Reckoned) -> bool:
        """Whether what is made has all that is asked for: tried apart, so that nothing is left."""
        try:
            self._fresh()._sub(asked.type, asked.details, Fixed(what.columns))
        except Unplanned:
            return False
        return True

    def _rows_of(self, asked: Asked, plan: Related, relation: Relation, level: Level) -> Part:
        owners = level.all(plan.key) if plan.match is None else level.each(plan.key)
        facts = {**plan.facts, "member_ids": owners}
        if plan.ask is not None:
            ask = self._ask(asked, plan.ask)
            facts |= self._live(ask, plan.live, relation, plan.facts)
        seen = plan.seen if self._caller().role is Role.BUSINESS else None
        related = self._statement.table(relation, facts, where=seen)
        related.pick(relation.columns[0])
        owner, rows = level.pick(plan.key), rows_read(self._statement.column(related))
        if plan.value is not None:
            place = related.pick(plan.value)
            return parts.value_part(self._source, rows, owner, place, asked.leaf)
        build = self._sub(asked.type, asked.details, related)
        if plan.match is not None:
            places = level.pick(plan.match), related.pick(plan.match)
            return parts.matching_part(self._source, rows, owner, places, build)
        if plan.many:
            return parts.many_part(self._source, rows, owner, build)
        return parts.one_part(self._source, rows, owner, build, nullable=asked.nullable)

    def _reckoned(self, asked: Asked, plan: Related, what: Reckoned, level: Level) -> Part:
        build = self._sub(asked.type, asked.details, Fixed(what.columns))
        self._statement.need_setup()
        members = level.all(plan.key)
        columns = [self._whole(relation, members) for relation in what.of]
        shown_at = None if plan.shown_at is None else what.columns.index(plan.shown_at)
        if self._caller().role is not Role.BUSINESS:
            shown_at = None
        owner, rows = level.pick(plan.key), rows_made(len(self._makes))
        self._makes.append(_making(what, columns, shown_at))
        if plan.many:
            return parts.many_part(self._source, rows, owner, build)
        return parts.one_part(
            self._source, rows, owner, build, nullable=asked.nullable, nobody=what.nobody
        )

    def _whole(self, relation: Relation, members: str) -> int:
        """Return the answer's column with all of a relation's; what is made of it shares that."""
        if (relation, members) not in self._wholes:
            rows = self._statement.table(relation, {"member_ids": members})
            for column in relation.columns:
                rows.pick(column)
            self._wholes[relation, members] = self._statement.column(rows)
        return self._wholes[relation, members]

    def _viewed(self, asked: Asked, plan: Viewed, level: Level) -> Part:
        relation = SHOWN if self._caller().role is Role.BUSINESS else EVERYTHING
        if level.views is None:
            # All personal fields of an object are made of the same rows.
            level.views = self._whole(relation, level.all("member_id"))
        owner, ask = level.pick("member_id"), self._ask(asked, plan.ask)
        level.attributes.add(plan.attribute)
        views = level.views, owner
        return parts.viewed_part(self._source, views, plan.attribute, level.attributes, ask)

    def _paged(self, asked: Asked, plan: Paged, level: Level) -> Part:
        try:
            read = plan.read(asked.arguments.given, self._caller())
        except HubError as refused:
            raise Unplanned("the caller is refused") from refused
        ask = self._asking(asked.arguments.asked(plan.ask))
        live = {**plan.live, **read.order.parameters}
        facts = {
            **read.facts,
            **self._live(ask, live, read.relation, read.facts, read.guard),
        }
        if plan.key is not None:
            facts["member_ids"] = level.all(plan.key)
        rows = self._statement.table(read.relation, facts)
        if read.guard is not None:
            self._statement.guard(read.guard, facts)
        rows.pick(read.relation.columns[0])
        owner = None if plan.key is None else level.pick(plan.key)
        column = self._statement.column(rows)
        at = parts.cursor_part(
            self._source, [rows.pick(one.name) for one in read.order.columns], ask
        )
        page = get_named_type(asked.type)
        selected = self._selected(page, asked.details)
        fields = [(key, self._of_page(page, details, rows, at)) for key, details in selected]
        return parts.page_part(self._source, rows_read(column), owner, ask, fields)

    def _of_page(self, page: Any, details: list[FieldDetails], rows: Level, at: Part) -> Part:
        name = details[0].node.name.value
        if name == "__typename":
            return parts.constant(page.name)
        type_ = page.fields[name].type
        named = get_named_type(type_)
        match name:
            case "nodes":
                return parts.nodes_part(self._source, self._sub(type_, details, rows))
            case "pageInfo":
                selected = self._selected(named, details)
                return parts.object_part(
                    [
                        (key, parts.page_info(one[0].node.name.value, at, named.name))
                        for key, one in selected
                    ]
                )
            case "edges":
                edge = [
                    (key, self._of_edge(named, one, rows, at))
                    for key, one in self._selected(named, details)
                ]
                return parts.nodes_part(self._source, parts.object_part(edge))
        raise Unplanned(f"a page says no {name}")

    def _of_edge(self, edge: Any, details: list[FieldDetails], rows: Level, at: Part) -> Part:
        match details[0].node.name.value:
            case "__typename":
                return parts.constant(edge.name)
            case "cursor":
                return at
            case "node":
                return self._sub(edge.fields["node"].type, details, rows)
        raise Unplanned("an edge says no such thing")

    def _found(self, asked: Asked, plan: Found, _level: Level) -> Part:
        try:
            relation: Relation | None = plan.relation(self._principal)
        except HubError as refused:
            raise Unplanned("the caller is refused") from refused
        if relation is None:
            return parts.constant([] if plan.many else None)
        ask = self._ask(asked, plan.ask)
        found = self._statement.table(relation, self._live(ask, plan.live, relation))
        self._statement.few(found)
        column = self._statement.column(found)
        found.pick(relation.columns[-1])
        build = self._sub(asked.type, asked.details, found)
        root = parts.root_part(self._source, rows_read(column), build, many=plan.many)
        return parts.noted_part(self._source, root, ask, asked.name)

    def _ask(self, asked: Asked, ask: Callable[..., Mapping[str, Any]]) -> int:
        """Have a field's arguments asked about at each run; returns the place of the answers."""
        arguments = asked.arguments
        return self._asking(lambda run: ask(run.context, **arguments.values(run)))

    def _asking(self, ask: Ask) -> int:
        self._asks.append(ask)
        return len(self._asks) - 1

    def _live(
        self,
        ask: int,
        live: Mapping[str, str],
        relation: Relation,
        facts: Mapping[str, str] | None = None,
        guard: str | None = None,
    ) -> dict[str, str]:
        """Return parameters of the statement for those answers that its SQL mentions."""
        used = parameters(f"{relation.sql} {guard or ''}")
        used |= parameters(" ".join(sql for name, sql in (facts or {}).items() if name in used))
        return {
            name: self._statement.parameter(sql_type, _answer(ask, name))
            for name, sql_type in live.items()
            if name in used
        }

    def _caller(self) -> Principal:
        if self._principal is None:
            raise Unplanned("nobody is signed in")
        return self._principal


def _answer(place: int, name: str) -> Value:
    return lambda run: run.asked[place][name]


def _making(what: Reckoned, columns: Sequence[int], shown_at: int | None) -> Make:
    """Return what makes rows of these columns of the answer: those that the caller may see."""

    def make(run: Run) -> Sequence[Row]:
        rows = what.reckon(run.setup, run.today, *(run.rows[one] for one in columns))
        if shown_at is None:
            return rows
        own = run.setup.number(run.context.caller.business)
        return [row for row in rows if own in row[shown_at]]

    return make
