"""Writes: the one field of a mutation is called as it stands, and its answer is written by a plan.

What a resolver returns is an object whose fields are attributes, and perhaps a member, who is read
anew by the plan of what is selected of it. A write is done once: where its answer is none that a
plan writes, the resolvers are handed what came of it (`Context.done`), and word it.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    is_union_type,
)
from graphql.execution.collect_fields import FieldDetails, collect_fields
from graphql.execution.values import VariableValues, get_variable_values
from strawberry.relay.utils import to_base64
from strawberry.schema.schema_converter import GraphQLCoreConverter

from graphql_schema.context import Context, Done
from graphql_schema.documents import LONGEST_DOCUMENT, MOST_DOCUMENTS, Document
from graphql_schema.fields import key_of
from graphql_schema.member import Member
from graphql_schema.plan import parts
from graphql_schema.plan.arguments import Arguments
from graphql_schema.plan.compiler import Compiler, Plan
from graphql_schema.plan.declared import Unplanned
from graphql_schema.plan.plans import MOST_SHAPES, Known, run_plan, shape_of
from graphql_schema.plan.run import Run
from graphql_schema.plan.source import rows_read
from graphql_schema.scoped import is_open
from hub.db.relation import Relation
from hub.errors import HubError

_BACKREF = GraphQLCoreConverter.DEFINITION_BACKREF
# Whom a write acted on was found and locked by it: nobody is looked for anew.
_SERVED = Relation(
    "SELECT s.member_id FROM unnest(CAST(:member_ids AS bigint[])) AS s (member_id)",
    ("member_id",),
)

Value = Callable[[Any, Any], Any]
"""What makes a part of the answer of a resolver's value, and of what was read of the member."""


@dataclass(frozen=True, slots=True)
class Payload:
    """How one type of answer is written: what is read of which member, and the fields."""

    member: Callable[[Any], Any] | None
    plan: Plan | None
    build: Value


@dataclass(frozen=True, slots=True)
class Write:
    """How a mutation is done and answered."""

    name: str
    key: str
    resolve: Callable[..., Any]
    arguments: Arguments
    payloads: Mapping[type, Payload]


@dataclass(frozen=True, slots=True)
class Kept:
    """A mutation that was sent, and how it is done, by the shape of its variables and callers."""

    known: Known
    writes: dict[Any, Write | None] = field(default_factory=dict)


class Writes:
    """The mutations of one schema that have one field, whose answers plans write."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._kept: OrderedDict[tuple[str, str | None], Kept] = OrderedDict()
        self.answered = 0
        """How many operations were answered here."""

    async def answer(
        self, kept: Kept, variables: dict[str, Any] | None, context: Context
    ) -> dict[str, Any] | None:
        """Do what an operation asks, and return its data; None: ask the resolvers.

        What was done by then is in `context.done`.
        """
        schema: GraphQLSchema = self._schema._schema
        defined = kept.known.operation.variable_definitions or ()
        given = get_variable_values(schema, defined, variables or {})
        if isinstance(given, list):
            return None
        write = self._write(kept, given, context)
        if write is None or not is_open(write.name, context.principal):
            return None
        try:
            data = await _done(write, Run(context, given))
        except (Unplanned, HubError, GraphQLError):
            return None
        self.answered += 1
        return {write.key: data}

    def kept(
        self, query: str, document: Document, operation: OperationDefinitionNode
    ) -> Kept | None:
        """Return what is kept of a mutation that is fit to be done; None of what is none."""
        if operation.operation is not OperationType.MUTATION or len(query) > LONGEST_DOCUMENT:
            return None
        key = query, operation.name.value if operation.name else None
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = Kept(Known(document.node, operation))
            if len(self._kept) > MOST_DOCUMENTS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept

    def _write(self, kept: Kept, given: VariableValues, context: Context) -> Write | None:
        known, writes = kept.known, kept.writes
        shape = shape_of(known, given, context)
        if shape in writes:
            return writes[shape]
        if len(writes) >= MOST_SHAPES:
            return None
        try:
            made = _Compiler(
                self._schema,
                fragments=known.fragments,
                operation=known.operation,
                variables=given,
                principal=context.principal,
            ).write()
        except Unplanned:
            made = None
        writes[shape] = made
        return made


async def _done(write: Write, run: Run) -> dict[str, Any]:
    """Do it, and return its answer; raises Unplanned for one that resolvers word."""
    context = run.context
    asked = write.arguments.values(run)
    context.done = done = Done()
    try:
        done.value = await write.resolve(None, info=SimpleNamespace(context=context), **asked)
    except Exception as failure:
        done.failure = failure
        raise Unplanned("it failed") from failure
    payload = write.payloads.get(type(done.value))
    if payload is None:
        raise Unplanned(f"{type(done.value).__name__} is none of the field's types")
    read = None
    if payload.plan is not None and payload.member is not None:
        member = payload.member(done.value)
        if member is not None:
            run.served = member.member_id
            read = await run_plan(payload.plan, run)
    data: dict[str, Any] = payload.build(done.value, read)
    return data


class _Compiler(Compiler):
    """Makes of a mutation with one field how it is done and answered."""

    def write(self) -> Write:
        """Return it; raises Unplanned where the operation is one for the resolvers."""
        root = self._schema.mutation_type
        if root is None:
            raise Unplanned("no mutations")
        collected = collect_fields(
            self._schema, self._fragments, self._variables, root, self._operation
        )
        if len(collected.grouped_field_set) != 1:
            raise Unplanned("several fields are several transactions")
        ((key, details),) = collected.grouped_field_set.items()
        name = details[0].node.name.value
        if name.startswith("__"):
            raise Unplanned("it does nothing")
        declared = root.fields[name]
        done_by = declared.extensions[_BACKREF]
        resolver = done_by.base_resolver
        if resolver is None or done_by.extensions or not done_by.is_async:
            raise Unplanned("it is not called as it stands")
        answer = get_nullable_type(declared.type)
        types = answer.types if is_union_type(answer) else (answer,)
        payloads = {
            one.extensions[_BACKREF].origin: self._fresh()._payload(one, details) for one in types
        }
        return Write(
            name=name,
            key=key,
            resolve=resolver.wrapped_func,
            arguments=Arguments(declared, details[0].node, self._variables, self._strawberry),
            payloads=payloads,
        )

    def _payload(self, type_: Any, details: list[FieldDetails]) -> Payload:
        self._member: Callable[[Any], Any] | None = None
        self._plan: Plan | None = None
        build = self._attributes(type_, details, lambda value: value)
        return Payload(self._member, self._plan, build)

    def _attributes(
        self, type_: Any, details: list[FieldDetails], reach: Callable[[Any], Any] | None
    ) -> Value:
        """Return what writes an object; `reach` leads to it from the payload, if there is one."""
        fields = [
            (key, self._attribute(type_, one, reach)) for key, one in self._selected(type_, details)
        ]
        return lambda value, read: {key: write(value, read) for key, write in fields}

    def _attribute(
        self, type_: Any, details: list[FieldDetails], reach: Callable[[Any], Any] | None
    ) -> Value:
        name = details[0].node.name.value
        if name == "__typename":
            return lambda _value, _read: type_.name
        declared, origin = type_.fields[name], type_.extensions[_BACKREF].origin
        if name == "id" and hasattr(origin, "node_key"):
            return lambda value, _read: to_base64(type_.name, key_of(origin.node_key, value))
        said = declared.extensions[_BACKREF]
        if not said.is_basic_field:
            raise Unplanned(f"{name} has a resolver")
        held: str = said.python_name
        there = None if reach is None else lambda value: getattr(reach(value), held, None)
        write = self._value(declared.type, details, there)
        return lambda value, read: write(getattr(value, held), read)

    def _value(
        self, type_: Any, details: list[FieldDetails], reach: Callable[[Any], Any] | None
    ) -> Value:
        """Return what writes a value as the schema's type does."""
        if is_non_null_type(type_):
            return _there(self._value(type_.of_type, details, reach))
        if is_list_type(type_):
            each = self._value(type_.of_type, details, None)
            return _if_any(lambda value, read: [each(one, read) for one in value])
        if is_leaf_type(type_):
            leaf = type_.serialize
            return _if_any(lambda value, _read: leaf(value))
        if not is_object_type(type_):
            raise Unplanned(f"{type_} is no object type")
        if get_named_type(type_).extensions[_BACKREF].origin is not Member:
            return _if_any(self._attributes(type_, details, reach))
        if self._plan is not None or reach is None:
            raise Unplanned("several members are read at one moment")
        self._member, self._plan = reach, self._read(type_, details)
        return _if_any(lambda _value, read: read)

    def _read(self, type_: Any, details: list[FieldDetails]) -> Plan:
        """Return the plan of what is selected of the member."""
        ids = self._statement.parameter("bigint[]", lambda run: [run.served])
        served = self._statement.table(_SERVED, {"member_ids": ids})
        self._statement.few(served)
        served.pick("member_id")
        build = self._sub(type_, details, served)
        column = self._statement.column(served)
        return self._made_of(parts.root_part(self._source, rows_read(column), build, many=False))


def _there(write: Value) -> Value:
    def written(value: Any, read: Any) -> Any:
        found = write(value, read)
        if found is None:
            raise Unplanned("null where none may be")
        return found

    return written


def _if_any(write: Value) -> Value:
    return lambda value, read: None if value is None else write(value, read)
