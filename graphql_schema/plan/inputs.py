"""Inputs as resolvers are given them: how each is made is found once, not with every request.

Strawberry looks up an input's fields, their names and types whenever it makes one. What is not made
of plain values, lists and inputs of ours is left to it.
"""

from collections.abc import Callable, Iterable
from dataclasses import MISSING
from functools import partial
from typing import Any, TypeAlias

from strawberry.relay import GlobalID
from strawberry.scalars import is_scalar
from strawberry.types.arguments import StrawberryArgument, convert_argument
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryOptional,
    has_object_definition,
)
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition
from strawberry.types.unset import UNSET

Make: TypeAlias = Callable[[Any], Any]


class Inputs:
    """Makes of the values of a field's arguments what its resolver is called with."""

    def __init__(self, arguments: Iterable[StrawberryArgument], schema: Any) -> None:
        """`schema` is Strawberry's."""
        self._schema = schema
        self._within: set[type] = set()
        names = schema.config.name_converter
        self._arguments = [
            (names.from_argument(one), one.python_name, self._make(one.type)) for one in arguments
        ]

    def made(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by the resolver's names; raises what Strawberry raises."""
        return {
            python: make(values[name]) for name, python, make in self._arguments if name in values
        }

    def _make(self, type_: Any) -> Make:
        if isinstance(type_, StrawberryOptional) and not isinstance(type_, StrawberryMaybe):
            return self._make(type_.of_type)
        if isinstance(type_, StrawberryList):
            each = self._make(type_.of_type)
            return _unless_nothing(lambda value: [each(one) for one in value])
        if self._is_plain(type_):
            return _as_it_is
        if has_object_definition(type_) and not type_.__strawberry_definition__.from_input:
            return self._input(type_)
        return self._as_strawberry(type_)

    def _is_plain(self, type_: Any) -> bool:
        """Whether the schema has made of a value of this type what resolvers are given."""
        scalars = self._schema.schema_converter.scalar_registry
        if type_ is not GlobalID and is_scalar(type_, scalars):
            return True
        return isinstance(type_, StrawberryEnumDefinition) or has_enum_definition(type_)

    def _input(self, type_: Any) -> Make:
        """Return what makes an input; one within another of its own type is left to Strawberry."""
        if type_ in self._within:
            return self._as_strawberry(type_)
        self._within.add(type_)
        definition = type_.__strawberry_definition__
        names = self._schema.config.name_converter
        unsaid = {
            one.python_name: None
            for one in definition.fields
            if one.default_value is MISSING and one.default_factory is MISSING
        }
        fields = [
            (
                names.from_field(one),
                one.python_name,
                self._make(one.resolve_type(type_definition=definition)),
            )
            for one in definition.fields
        ]

        def made(value: Any) -> Any:
            said = {python: make(value[name]) for name, python, make in fields if name in value}
            return type_(**{**unsaid, **said})

        self._within.remove(type_)
        return _unless_nothing(made)

    def _as_strawberry(self, type_: Any) -> Make:
        return partial(
            convert_argument,
            type_=type_,
            scalar_registry=self._schema.schema_converter.scalar_registry,
            config=self._schema.config,
        )


def _as_it_is(value: Any) -> Any:
    return value


def _unless_nothing(make: Make) -> Make:
    return lambda value: value if value is None or value is UNSET else make(value)
