"""A field of an operation, as the compiler looks at it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import get_nullable_type, is_leaf_type, is_list_type, is_non_null_type
from graphql.execution.collect_fields import FieldDetails
from strawberry.types.field import StrawberryField

from graphql_schema.plan.arguments import Arguments
from graphql_schema.plan.declared import Column, Unplanned


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
        return Column() if said is None and self.field.base_resolver is None else said

    @property
    def leaf(self) -> Callable[[Any], Any]:
        """What writes the field's one value, or its list of them, as the schema's type does."""
        type_ = get_nullable_type(self.type)
        if is_list_type(type_) and is_non_null_type(type_.of_type):
            each = self._leaf(type_.of_type.of_type)
            return lambda values: [each(value) for value in values]
        return self._leaf(type_)

    def _leaf(self, type_: Any) -> Callable[[Any], Any]:
        if not is_leaf_type(type_):
            raise Unplanned(f"{self.name} is not one value")
        serialize: Callable[[Any], Any] = type_.serialize
        return serialize
