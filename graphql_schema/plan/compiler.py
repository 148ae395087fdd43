"""From an operation to its plan: one statement, and one function per object and field."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import (
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import (
    FieldDetails,
    FragmentDetails,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues
from strawberry.relay.utils import to_base64
from strawberry.types.field import StrawberryField

from graphql_schema.plan.arguments import Arguments
from graphql_schema.plan.declared import BusinessOf, Column, Found, Made, Related, Within
from graphql_schema.plan.parts import business_part, leaf_part, made_part, one_part, within_part
from graphql_schema.plan.run import Build, Row, Run, Unplanned
from graphql_schema.plan.statement import Level, Statement, Value
from hub.crypto.tokens import Principal, Role
from hub.db.relation import Relation
from hub.errors import HubError

_BACKREF = "strawberry-definition"
Ask = Callable[[Run], Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How an operation is answered: what is asked of its arguments, the statement, the builder."""

    asks: tuple[Ask, ...]
    sql: str
    values: tuple[Value, ...]
    build: Build


@dataclass(frozen=True, slots=True)
class Asked:
    """A field as it is selected somewhere: its declaration and all its nodes."""

    name: str
    details: list[FieldDetails]
    field: StrawberryField
    type: Any
    arguments: Arguments

    @property
    def nullable(self) -> bool:
        """Whether the field may be null."""
        return not is_non_null_type(self.type)

    @property
    def plan(self) -> Any:
        """What the field says of where its answer is from."""
        said = self.field.metadata.get("plan")
        if said is None and self.field.base_resolver is None:
            return Column()
        return said


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
        self._statement = Statement()
        self._asks: list[Ask] = []

    def plan(self) -> Plan:
        """Return the plan; raises Unplanned where the operation is one for the resolvers."""
        query = self._schema.query_type
        if query is None:
            raise Unplanned("no queries")
        collected = collect_fields(
            self._schema, self._fragments, self._variables, query, self._operation
        )
        build = self._object(query, collected.grouped_field_set, Level(""))
        return Plan(tuple(self._asks), self._statement.sql, self._statement.values, build)

    def _object(
        self, type_: GraphQLObjectType, selected: dict[str, list[FieldDetails]], level: Level
    ) -> Build:
        parts = [(key, self._field(type_, details, level)) for key, details in selected.items()]

        def build(row: Row, run: Run) -> dict[str, Any]:
            return {key: part(row, run) for key, part in parts}

        return build

    def _sub(self, asked: Asked, level: Level) -> Build:
        """Return what builds the objects of a field from rows of `level`."""
        type_ = get_named_type(asked.type)
        if not is_object_type(type_):
            raise Unplanned(f"{type_} is no object type")
        collected = collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, type_, asked.details
        )
        return self._object(type_, collected.grouped_field_set, level)

    def _field(self, type_: GraphQLObjectType, details: list[FieldDetails], level: Level) -> Build:
        name = details[0].node.name.value
        if name == "__typename":
            return lambda _row, _run: type_.name
        declared = type_.fields.get(name)
        if declared is None:
            raise Unplanned(f"{name} tells of the schema")
        origin = type_.extensions[_BACKREF].origin
        asked = Asked(
            name=name,
            details=details,
            field=declared.extensions[_BACKREF],
            type=declared.type,
            arguments=Arguments(declared, details[0].node, self._variables, self._strawberry),
        )
        if name == "id" and hasattr(origin, "node_key"):
            places = [level.pick(column) for column in origin.node_key]
            return made_part(places, _node_id(type_.name), str, nullable=False)
        return self._planned(asked, level)

    def _planned(self, asked: Asked, level: Level) -> Build:
        plan = asked.plan
        match plan:
            case Column():
                return self._column(asked, plan, level)
            case Made(columns, make):
                places = [level.pick(column) for column in columns]
                return made_part(places, make, _leaf(asked), nullable=asked.nullable)
            case Within(column):
                return within_part(level.pick(column), self._sub(asked, level))
            case BusinessOf():
                return self._business(asked, plan, level)
            case Related():
                return self._related(asked, plan, level)
            case Found():
                return self._found(asked, plan)
        raise Unplanned(f"{asked.name} has a resolver and no plan")

    def _column(self, asked: Asked, plan: Column, level: Level) -> Build:
        leaf = _leaf(asked)
        if plan.readers is not None and not plan.readers(self._caller()):
            return lambda _row, _run: None
        place = level.pick(plan.name or asked.field.python_name)
        return leaf_part(place, plan.show, leaf, nullable=asked.nullable)

    def _business(self, asked: Asked, plan: BusinessOf, level: Level) -> Build:
        business = Level("b")
        build = self._sub(asked, business)
        number = f"{level.alias}.{plan.column}"
        if plan.many:
            rows = f"""ARRAY(SELECT {business.row}
              FROM unnest({number}) WITH ORDINALITY AS o (business_id, n)
              JOIN business b USING (business_id) ORDER BY o.n)"""  # noqa: S608 - names of ours
        else:
            rows = f"(SELECT {business.row} FROM business b WHERE b.business_id = {number})"  # noqa: S608
        return business_part(level.pick_sql(rows), build, many=plan.many)

    def _related(self, asked: Asked, plan: Related, level: Level) -> Build:
        caller = self._caller()
        if plan.readers is not None and not plan.readers(caller):
            nothing: Any = [] if plan.many else None
            return lambda _row, _run: nothing
        if asked.arguments.given.intersection(plan.unless):
            raise Unplanned(f"{asked.name} with arguments that no plan answers")
        facts = {
            **plan.facts,
            **self._live(asked, plan.ask, plan.live),
            "member_ids": level.all(plan.key),
        }
        seen = plan.seen if caller.role is Role.BUSINESS else None
        related = self._statement.table(plan.relation, facts, where=seen)
        related.pick(plan.relation.columns[0])
        owner = level.pick(plan.key)
        column = self._statement.column(related)
        if plan.value is not None:
            place, leaf = related.pick(plan.value), _leaf(asked)
            return lambda row, run: (
                leaf(found[0][place]) if (found := run.of(column, row[owner])) else 0
            )
        build = self._sub(asked, related)
        if plan.many:
            return lambda row, run: [build(one, run) for one in run.of(column, row[owner])]
        return one_part(column, owner, build, nullable=asked.nullable)

    def _found(self, asked: Asked, plan: Found) -> Build:
        try:
            relation: Relation | None = plan.relation(self._principal)
        except HubError as refused:
            raise Unplanned("the caller is refused") from refused
        if relation is None:
            return lambda _row, _run: [] if plan.many else None
        facts = self._live(asked, plan.ask, plan.live)
        found = self._statement.table(relation, facts, where=None)
        column = self._statement.column(found)
        found.pick(relation.columns[-1])
        build = self._sub(asked, found)
        if plan.many:
            return lambda _row, run: [build(one, run) for one in run.rows[column]]
        return lambda _row, run: build(rows[0], run) if (rows := run.rows[column]) else None

    def _live(self, asked: Asked, ask: Any, live: Any) -> dict[str, str]:
        """Have the arguments asked about at each run; returns parameters for the answers."""
        if ask is None:
            return {}
        place = len(self._asks)
        arguments = asked.arguments
        self._asks.append(lambda run: ask(run.context, **arguments.values(run)))
        return {
            name: self._statement.parameter(sql_type, _answer(place, name))
            for name, sql_type in live.items()
        }

    def _caller(self) -> Principal:
        if self._principal is None:
            raise Unplanned("nobody is signed in")
        return self._principal


def _answer(place: int, name: str) -> Value:
    return lambda run: run.asked[place][name]


def _leaf(asked: Asked) -> Callable[[Any], Any]:
    type_ = get_nullable_type(asked.type)
    if not is_leaf_type(type_):
        raise Unplanned(f"{asked.name} is not one value")
    serialize: Callable[[Any], Any] = type_.serialize
    return serialize


def _node_id(type_name: str) -> Callable[..., str]:
    return lambda *key: to_base64(type_name, ".".join(map(str, key)))
