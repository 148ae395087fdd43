"""One run of a plan: what it is given, and what the statement answered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from graphql.execution.values import VariableValues

from graphql_schema.context import Context
from hub.benefits.setup import Setup
from hub.members.display import MemberView, view_of

Row = Sequence[Any]
NO_VARIABLES = VariableValues({}, {})


@dataclass(slots=True)
class Run:
    """A request, and the rows that were read for it."""

    context: Context
    variables: VariableValues
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    """What the arguments of each field that has some came to."""
    served: int | None = None
    """The member whom a write acted on."""
    caller: Sequence[Any] = ()
    """What tells the database who reads."""
    remembered: Setup | None = None
    """How the programme is set up, where the plan says that it needs to know."""
    rows: Row = ()
    """The statement's answer, column by column."""
    made: list[Sequence[Row]] = field(default_factory=list)
    """What was made of the answer, in the order of the plan's `makes`."""
    views: dict[tuple[int, Any], MemberView] = field(default_factory=dict)
    _today: date | None = None

    @property
    def today(self) -> date:
        """The group's day at the request's instant, by the set-up."""
        if self._today is None:
            self._today = self.setup.today(self.context.now)
        return self._today

    @property
    def setup(self) -> Setup:
        """How the programme is set up; for plans that say they need to know."""
        if self.remembered is None:
            raise LookupError("the plan does not say that it needs the set-up")
        return self.remembered

    def view(self, column: int, row: Row, attributes: Collection[str]) -> MemberView:
        """Return how a member is shown: these attributes, by its row in a column of the answer."""
        key = column, row[0]
        if key not in self.views:
            self.views[key] = view_of(row, self.context.keyring, only=attributes)
        return self.views[key]
