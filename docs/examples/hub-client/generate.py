"""Write the types of `operations/*.graphql` for Python and for TypeScript.

    python docs/examples/hub-client/generate.py

What a client asks is checked against the schema, and what it gets is typed as it is selected: a
union has one type per answer, told apart by `__typename`. Nothing but graphql-core is needed. Put
your own operations beside those that are there, and run it again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from keyword import iskeyword
from pathlib import Path
from typing import ClassVar, Protocol

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    get_named_type,
    is_abstract_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
    parse,
    print_ast,
    type_from_ast,
    validate,
)

HERE = Path(__file__).parent
_WRITTEN = "Written by generate.py: do not edit."
_TELLS = "Amounts of points are integers; dates, times and decimals are texts, as they are sent."
SCHEMA = HERE.parents[2] / "graphql_schema" / "schema.graphql"


@dataclass(frozen=True)
class Member:
    """One key of an object: its name, the type of its value, whether it may be left out."""

    name: str
    type: str
    optional: bool = False


@dataclass
class Operation:
    """An operation, with everything that is to be declared for it, in order."""

    name: str
    document: str
    variables: list[Member]
    result: list[Member]
    objects: dict[str, list[Member]] = field(default_factory=dict)
    unions: dict[str, list[str]] = field(default_factory=dict)


class Language(Protocol):
    """How types are written."""

    scalars: ClassVar[dict[str, str]]

    def many(self, of: str) -> str:
        """Return the type of a list."""
        ...

    def nullable(self, of: str) -> str:
        """Return the type of what may be null."""
        ...

    def literal(self, *names: str) -> str:
        """Return the type of one of these texts."""
        ...

    def module(self, inputs: "Inputs", operations: list[Operation]) -> str:
        """Return the text of the whole module."""
        ...


class Inputs:
    """Input objects and enums that the operations use."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.objects: dict[str, list[Member]] = {}
        self.one_of: dict[str, list[Member]] = {}
        self.enums: dict[str, list[str]] = {}

    def leaf(self, named: GraphQLNamedType) -> str:
        """Return the type of a scalar, an enum or an input object, and remember to declare it."""
        if isinstance(named, GraphQLEnumType):
            self.enums[named.name] = list(named.values)
            return named.name
        if isinstance(named, GraphQLInputObjectType):
            self._declare(named)
            return named.name
        return self.language.scalars[named.name]

    def _declare(self, named: GraphQLInputObjectType) -> None:
        if named.name in self.objects or named.name in self.one_of:
            return
        place = self.one_of if named.is_one_of else self.objects
        place[named.name] = []
        place[named.name] += [
            Member(name, written(one.type, self), not is_required_input_field(one))
            for name, one in named.fields.items()
        ]


def written(type_: object, inputs: Inputs, inner: str | None = None) -> str:
    """Return a GraphQL type as the language has it; `inner` is what its named type became."""
    language = inputs.language
    if is_non_null_type(type_):
        return _bare(type_.of_type, inputs, inner)
    return language.nullable(_bare(type_, inputs, inner))


def _bare(type_: object, inputs: Inputs, inner: str | None) -> str:
    if is_list_type(type_):
        return inputs.language.many(written(type_.of_type, inputs, inner))
    return inner or inputs.leaf(get_named_type(type_))


class Reader:
    """Reads one operation."""

    def __init__(self, schema: GraphQLSchema, inputs: Inputs, text: str) -> None:
        document = parse(text)
        wrong = validate(schema, document)
        if wrong:
            raise SystemExit("\n\n".join(map(str, wrong)))
        (node,) = document.definitions
        if not isinstance(node, OperationDefinitionNode) or node.name is None:
            raise SystemExit("one operation with a name, in each file")
        self.schema, self.inputs = schema, inputs
        variables = []
        for one in node.variable_definitions or ():
            type_ = type_from_ast(schema, one.type)
            optional = not is_non_null_type(type_) or one.default_value is not None
            variables.append(Member(one.variable.name.value, written(type_, inputs), optional))
        root = schema.get_root_type(node.operation)
        if root is None:
            raise SystemExit("the schema has no such operations")
        self.operation = Operation(node.name.value, print_ast(node), variables, [])
        self.operation.result = self._members(root, node.selection_set, node.name.value)

    def _members(
        self, type_: GraphQLNamedType, selected: SelectionSetNode, prefix: str
    ) -> list[Member]:
        found: dict[str, Member] = {}
        for node in self._fields(type_, selected):
            key = node.alias.value if node.alias else node.name.value
            if node.name.value == "__typename":
                found[key] = Member(key, self.inputs.language.literal(type_.name))
                continue
            of = type_.fields[node.name.value].type  # type: ignore[attr-defined]
            inner = None
            if node.selection_set:
                inner = self._object(of, node.selection_set, prefix + key[0].upper() + key[1:])
            found[key] = Member(key, written(of, self.inputs, inner))
        return list(found.values())

    def _object(self, of: object, selected: SelectionSetNode, name: str) -> str:
        """Declare what a selection makes; of a union, one object for each type it may be."""
        named = get_named_type(of)
        if not is_abstract_type(named):
            self.operation.objects[name] = self._members(named, selected, name)
            return name
        kinds = []
        for one in self.schema.get_possible_types(named):
            kinds.append(f"{name}{one.name}")
            self.operation.objects[kinds[-1]] = self._members(one, selected, kinds[-1])
        self.operation.unions[name] = kinds
        return name

    def _fields(self, type_: GraphQLNamedType, selected: SelectionSetNode) -> Iterator[FieldNode]:
        for node in selected.selections:
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                on = node.type_condition and self.schema.get_type(node.type_condition.name.value)
                fits = on is None or on is type_
                if fits or (is_abstract_type(on) and self.schema.is_sub_type(on, type_)):
                    yield from self._fields(type_, node.selection_set)
            else:
                raise SystemExit("write fragments where they are used")


class Python:
    """TypedDicts: what the wire holds, under names that a type checker knows."""

    scalars: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("ID", "String", "Date", "DateTime", "Decimal"), "str"),
        **dict.fromkeys(("Int", "Long"), "int"),
        "Float": "float",
        "Boolean": "bool",
        "JSON": "object",
    }

    def many(self, of: str) -> str:
        """Return the type of a list."""
        return f"list[{of}]"

    def nullable(self, of: str) -> str:
        """Return the type of what may be null."""
        return f"{of} | None"

    def literal(self, *names: str) -> str:
        """Return the type of one of these texts."""
        return "Literal[" + ", ".join(f'"{name}"' for name in names) + "]"

    def module(self, inputs: Inputs, operations: list[Operation]) -> str:
        """Return the text of the whole module."""
        parts = [
            f'"""{_WRITTEN}\n\n{_TELLS}\n"""\n\n'
            "from typing import Literal, NotRequired, TypeAlias, TypedDict\n\n"
            "from hub_client.operation import Operation"
        ]
        for name, values in sorted(inputs.enums.items()):
            parts.append(f"{name}: TypeAlias = {self.literal(*values)}")
        for name, members in inputs.one_of.items():
            kinds = [f"{name}{one.name[0].upper()}{one.name[1:]}" for one in members]
            for kind, one in zip(kinds, members, strict=True):
                bare = Member(one.name, one.type.removesuffix(" | None"))
                parts.append(self._class(kind, [bare]))
            parts.append(f"{name}: TypeAlias = {self._union(kinds)}")
        parts += [self._class(name, members) for name, members in _inner_first(inputs.objects)]
        for one in operations:
            for name, members in one.objects.items():
                parts.append(self._class(name, members))
                ready = [union for union, kinds in one.unions.items() if kinds[-1] == name]
                parts += [
                    f"{union}: TypeAlias = {self._union(one.unions[union])}" for union in ready
                ]
            parts.append(self._class(f"{one.name}Variables", one.variables))
            parts.append(self._class(f"{one.name}Result", one.result))
            parts.append(
                f"{_constant(one.name)}: Operation[{one.name}Variables, {one.name}Result]"
                " = Operation(\n"
                f'    "{one.name}",\n    """\n{one.document}\n""",\n)'
            )
        return "\n\n\n".join(parts) + "\n"

    def _class(self, name: str, members: list[Member]) -> str:
        types = {
            one.name: f"NotRequired[{one.type}]" if one.optional else one.type for one in members
        }
        if any(iskeyword(one) or one.startswith("__") for one in types):
            # No attribute can be called so, or it would be called otherwise in a class.
            lines = [f'        "{one}": {type_},' for one, type_ in types.items()]
            return (
                f'{name} = TypedDict(\n    "{name}",\n    {{\n' + "\n".join(lines) + "\n    },\n)"
            )
        lines = [f"    {one}: {type_}" for one, type_ in types.items()]
        return f"class {name}(TypedDict):\n" + ("\n".join(lines) or "    pass")

    def _union(self, kinds: list[str]) -> str:
        return self._wide(" | ".join(kinds))

    def _wide(self, text: str) -> str:
        return text if len(text) < 60 else "(\n    " + text.replace(" | ", "\n    | ") + "\n)"


class TypeScript:
    """Types alone: they are gone when the program runs."""

    scalars: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("ID", "String", "Date", "DateTime", "Decimal"), "string"),
        **dict.fromkeys(("Int", "Long", "Float"), "number"),
        "Boolean": "boolean",
        "JSON": "unknown",
    }

    def many(self, of: str) -> str:
        """Return the type of a list."""
        return f"ReadonlyArray<{of}>"

    def nullable(self, of: str) -> str:
        """Return the type of what may be null."""
        return f"{of} | null"

    def literal(self, *names: str) -> str:
        """Return the type of one of these texts."""
        return " | ".join(f'"{name}"' for name in names)

    def module(self, inputs: Inputs, operations: list[Operation]) -> str:
        """Return the text of the whole module."""
        parts = [f'// {_WRITTEN}\n// {_TELLS}\n\nimport type {{ Operation }} from "./client.js";']
        for name, values in sorted(inputs.enums.items()):
            parts.append(f"export type {name} = {self.literal(*values)};")
        for name, members in inputs.one_of.items():
            kinds = " | ".join(
                f"{{ {one.name}: {one.type.removesuffix(' | null')} }}" for one in members
            )
            parts.append(f"export type {name} = {kinds};")
        for name, members in _inner_first(inputs.objects):
            parts.append(self._interface(name, members))
        for one in operations:
            parts += [self._interface(name, members) for name, members in one.objects.items()]
            parts += [f"export type {n} = {' | '.join(k)};" for n, k in one.unions.items()]
            parts.append(self._interface(f"{one.name}Variables", one.variables))
            parts.append(self._interface(f"{one.name}Result", one.result))
            parts.append(
                f"export const {one.name}: Operation<{one.name}Variables, {one.name}Result> = {{\n"
                f'  name: "{one.name}",\n  document: `\n{one.document}\n`,\n}};'
            )
        return "\n\n".join(parts) + "\n"

    def _interface(self, name: str, members: list[Member]) -> str:
        lines = [f"  {one.name}{'?' if one.optional else ''}: {one.type};" for one in members]
        return f"export interface {name} {{\n" + "\n".join(lines) + "\n}"


def _constant(name: str) -> str:
    """Return the name of a constant: `FIND_MEMBER`."""
    return "".join(f"_{one}" if one.isupper() and n else one for n, one in enumerate(name)).upper()


def _inner_first(objects: dict[str, list[Member]]) -> list[tuple[str, list[Member]]]:
    return list(reversed(objects.items()))


def generate() -> dict[Path, str]:
    """Return what each generated file is to hold."""
    schema = build_schema(SCHEMA.read_text())
    made = {}
    places: dict[Path, Language] = {
        HERE / "python" / "hub_client" / "operations.py": Python(),
        HERE / "typescript" / "src" / "operations.ts": TypeScript(),
    }
    for place, language in places.items():
        inputs = Inputs(language)
        operations = [
            Reader(schema, inputs, path.read_text()).operation
            for path in sorted((HERE / "operations").glob("*.graphql"))
        ]
        made[place] = language.module(inputs, operations)
    return made


if __name__ == "__main__":
    for place, text in generate().items():
        place.write_text(text)
