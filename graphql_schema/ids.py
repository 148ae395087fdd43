"""Node ids that are none: refused before a field begins, by the place where they were written."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar, TypeAlias

from graphql import GraphQLObjectType, GraphQLSchema
from strawberry.relay import GlobalID, GlobalIDValueError
from strawberry.schema.name_converter import NameConverter
from strawberry.types.base import StrawberryContainer, has_object_definition

from hub.errors import HubError

_MOST_SHOWN = 50

Place: TypeAlias = tuple[str, ...]
"""The names down to where an id is written, beginning with an argument's."""


class NoNodeId(HubError):
    """Something else was sent where a node id is to be; `field` names the place."""

    code: ClassVar[str] = "bad_request"


def guard_ids(schema: GraphQLSchema, names: NameConverter) -> None:
    """Have every field of a schema that takes node ids look at them first.

    Strawberry, which decodes them for resolvers, does not say which of them is none.
    """
    for type_ in schema.type_map.values():
        for field in type_.fields.values() if isinstance(type_, GraphQLObjectType) else ():
            declared = field.extensions.get("strawberry-definition")
            places = tuple(
                place
                for one in (declared.arguments if declared else ())
                for place in _places(one.type, (names.from_argument(one),), names, ())
            )
            if not places:
                continue
            if field.subscribe is not None:
                field.subscribe = partial(_looked_at, field.subscribe, places)
            elif field.resolve is not None:
                field.resolve = partial(_looked_at, field.resolve, places)


def _looked_at(
    resolve: Callable[..., Any], places: tuple[Place, ...], source: Any, info: Any, **said: Any
) -> Any:
    for place in places:
        for value in _written(said, place):
            try:
                GlobalID.from_id(value)
            except GlobalIDValueError as no:
                raise NoNodeId(
                    f"{value[:_MOST_SHOWN]!r} is no id of a node: say one as the hub tells it",
                    field=".".join(place),
                ) from no
    return resolve(source, info, **said)


def _places(
    type_: Any, at: Place, names: NameConverter, within: tuple[type, ...]
) -> Iterator[Place]:
    """Name where below `at` ids are; an input within another of its own type is looked at once."""
    while isinstance(type_, StrawberryContainer):
        type_ = type_.of_type
    if type_ is GlobalID:
        yield at
    elif has_object_definition(type_) and type_ not in within:
        definition = type_.__strawberry_definition__
        for one in definition.fields:
            inner = one.resolve_type(type_definition=definition)
            yield from _places(inner, (*at, names.from_field(one)), names, (*within, type_))


def _written(value: Any, place: Place) -> Iterator[str]:
    """Return what is written at a place; of a list, all of it."""
    if isinstance(value, list):
        for one in value:
            yield from _written(one, place)
    elif not place:
        if isinstance(value, str):
            yield value
    elif isinstance(value, dict) and place[0] in value:
        yield from _written(value[place[0]], place[1:])
