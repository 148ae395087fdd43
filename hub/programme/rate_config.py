"""How a group's file writes rates, multipliers and exchange rates."""

from datetime import date, time
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, field_validator, model_validator

from hub.errors import Malformed
from hub.programme.conditions import condition

# Written in one way only, so that 2 and 2.0 are the same version of a rule.
_Exact = Annotated[Decimal, PlainSerializer(lambda value: f"{value.normalize():f}")]
_PerUnit = Annotated[_Exact, Field(ge=0, max_digits=12, decimal_places=6)]
_Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=150)]], Field(min_length=1)]


class _Scope(BaseModel):
    """Which lines of which bills (see hub.programme.rates.Scope); what is left out fits all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    categories: _Names | None = None
    outlets: _Names | None = None
    weekdays: (
        Annotated[
            list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], Field(min_length=1)
        ]
        | None
    ) = None
    from_time: time | None = None
    until_time: time | None = None
    tiers: _Names | None = None
    line_kinds: _Names | None = None
    when: str | None = None

    @field_validator("when")
    @classmethod
    def _compiles(cls, source: str | None) -> str | None:
        """Refuse a condition that could not be asked of a bill."""
        if source is not None:
            try:
                condition(source)
            except Malformed as bad:
                raise ValueError(bad.message) from bad
        return source

    @model_validator(mode="after")
    def _is_a_window(self) -> "_Scope":
        """Refuse half a window, one without length, and times with a zone of their own."""
        ends = (self.from_time, self.until_time)
        if (ends[0] is None) != (ends[1] is None):
            raise ValueError("from_time and until_time come together")
        if ends[0] is not None and ends[0] == ends[1]:
            raise ValueError("from_time and until_time are the same: leave both out for all day")
        if any(end is not None and end.tzinfo is not None for end in ends):
            raise ValueError("from_time and until_time are in the business's own zone")
        return self

    def packed(self) -> dict[str, Any]:
        """Return what was said, as JSON values: what a rule keeps."""
        return self.model_dump(mode="json", exclude_none=True)


class RateConfig(_Scope):
    """Points per major unit for the lines that fit; the first of a rule's rates that fits counts.

    Without `qualifying_per_unit` the rule's own applies.
    """

    points_per_unit: _PerUnit
    qualifying_per_unit: _PerUnit | None = None


class MultiplierConfig(_Scope):
    """How many times the lines that fit count, and why, in words that a member may read."""

    factor: Annotated[_Exact, Field(ge=0, max_digits=12, decimal_places=6)]
    reason: str = Field(min_length=1, max_length=150)


class ExchangeRateConfig(BaseModel):
    """A version of a rate: major units of `to_currency` per major unit of `from_currency`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_currency: str = Field(pattern=r"^[A-Z]{3}$")
    to_currency: str = Field(pattern=r"^[A-Z]{3}$")
    effective_from: date
    rate: Decimal = Field(gt=0, max_digits=24, decimal_places=12)

    @model_validator(mode="after")
    def _are_two(self) -> "ExchangeRateConfig":
        """Refuse a rate of a currency to itself."""
        if self.from_currency == self.to_currency:
            raise ValueError("from_currency and to_currency are the same")
        return self
