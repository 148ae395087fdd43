"""Definitions: what a benefit of a group's file says of itself, and what its kind asks for."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from hub.programme.versions import CODE, CURRENCY
from hub.units import MOST_MINOR

Kind = Literal["discount", "points_multiplier", "upgrade", "late_checkout", "delivery",
               "priority_service", "birthday_gift", "event", "exclusive_price",
               "free_item"]  # fmt: skip
Minor = Annotated[int, Field(ge=0, le=MOST_MINOR)]
Outlet = Annotated[str, Field(min_length=1, max_length=200)]
# A decimal text: TOML would make a float of a bare number.
Exact = Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,4})?$")]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Discount(_Config):
    """`percent` of the lines of `categories` (none named: of all), at most `cap_minor`; or an
    `amount_minor`. Only of bills from `min_spend_minor`."""

    percent: Exact | None = None
    amount_minor: Minor | None = None
    cap_minor: Minor | None = None
    categories: tuple[str, ...] = ()
    min_spend_minor: Minor = 0

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.percent is None) == (self.amount_minor is None):
            raise ValueError("a discount has a percent or an amount_minor, and not both")
        if self.percent is not None and not 0 < Decimal(self.percent) <= 100:
            raise ValueError("percent is more than 0 and at most 100")
        return self


class Multiplier(_Config):
    """So many times the points that a bill would earn."""

    factor: Exact


class FreeItem(_Config):
    """One item of a category, worth at most `max_value_minor`."""

    category: str = Field(min_length=1, max_length=200)
    max_value_minor: Minor | None = None


class Delivery(_Config):
    """Delivery for nothing, up to what it costs."""

    up_to_minor: Minor | None = None
    min_spend_minor: Minor = 0


class LateCheckout(_Config):
    """Until when a guest may stay, in the hotel's time: 16:00."""

    until: str = Field(default="16:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")


class Free(_Config):
    """What staff are told; nothing is reckoned by it."""

    note: str | None = Field(default=None, max_length=500)


PARAMETERS: dict[str, type[_Config]] = {
    "discount": Discount,
    "exclusive_price": Discount,
    "points_multiplier": Multiplier,
    "free_item": FreeItem,
    "delivery": Delivery,
    "late_checkout": LateCheckout,
}


class BenefitConfig(_Config):
    """A version of a benefit: `quota` uses a `period` from the tier called `tier` upwards.

    Without a tier it is granted by other sources alone: plans, vouchers, staff. Each use costs
    `funder` the `price_minor` (minor units), whichever of `offered_at` serves it, or what `prices`
    says for that business. Of a business that `outlets` names, only those outlets serve it.
    `parameters` are those of its kind.
    """

    code: str = Field(pattern=CODE)
    effective_from: AwareDatetime
    name: str
    name_zh: str
    kind: Kind
    tier: str | None = None
    quota: int = Field(default=0, ge=0, le=1_000_000)
    period: Literal["year", "quarter", "month", "week", "anniversary", "lifetime"] = "year"
    on_loss: Literal["suspend", "end", "keep_period"] = "suspend"
    carry_over: int = Field(default=0, ge=0, le=1_000_000)
    return_days: int = Field(default=0, ge=0, le=366)
    funder: str
    price_minor: Minor
    prices: dict[str, Minor] = Field(default_factory=dict)
    currency: str = Field(pattern=CURRENCY)
    offered_at: list[str] = Field(min_length=1)
    outlets: dict[str, tuple[Outlet, ...]] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.tier is None and self.quota:
            raise ValueError("a quota is a tier's: name the tier, or leave the quota out")
        for field in ("prices", "outlets"):
            if strangers := set(getattr(self, field)) - set(self.offered_at):
                raise ValueError(f"{field} names {min(strangers)}, where it is not offered")
        if self.carry_over and self.period == "lifetime":
            raise ValueError("nothing is carried over from a lifetime")
        self.settled_parameters()
        return self

    def settled_parameters(self) -> dict[str, Any]:
        """Return the parameters in full, as they are kept; none given: staff act by hand."""
        if not self.parameters:
            return {}
        made = PARAMETERS.get(self.kind, Free).model_validate(self.parameters)
        return made.model_dump(mode="json")
