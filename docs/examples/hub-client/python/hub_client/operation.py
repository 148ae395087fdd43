"""An operation with the types of what it takes and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

V = TypeVar("V")
R = TypeVar("R")


@dataclass(frozen=True)
class Request(Generic[R]):
    """An operation with its variables, ready to be sent."""

    body: Mapping[str, Any]


@dataclass(frozen=True)
class Operation(Generic[V, R]):
    """A GraphQL document; `V` are its variables, `R` its data. Called with variables: a request."""

    name: str
    document: str

    def __call__(self, variables: V) -> Request[R]:
        """Return the request for these variables."""
        body = {"query": self.document, "operationName": self.name}
        return Request({**body, "variables": cast("Mapping[str, Any]", variables)})
