"""The units and policies of points as a group's file writes them."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from hub.programme.policies import PointsPolicy, TillPolicy
from hub.programme.versions import CODE

_MOST_POINTS = 10**12
_MOST_MONTHS = 1_200
_DEFAULTS = PointsPolicy()
_AT_TILLS = TillPolicy()

Points = Annotated[int, Field(ge=0, le=_MOST_POINTS)]
Share = Annotated[Decimal, Field(ge=0, le=1, decimal_places=4)]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UnitConfig(_Config):
    """A unit of points: one more that can be spent, or another name for one that there is."""

    code: str = Field(pattern=CODE)
    name: str = Field(min_length=1)


class _Policy(_Config):
    """A version of a policy whose `mode` asks for some fields and has no use for others."""

    model_config = ConfigDict(validate_default=True)
    asked: ClassVar[dict[str, set[str]]]

    @field_validator("*")
    @classmethod
    def _as_the_mode_asks(cls, value: object, info: ValidationInfo) -> object:
        mode, field = info.data.get("mode"), info.field_name
        if mode is None or not any(field in fields for fields in cls.asked.values()):
            return value
        if field in cls.asked.get(mode, ()):
            if value is None:
                raise ValueError(f"the mode {mode} needs {field}")
        elif value is not None:
            raise ValueError(f"the mode {mode} has no {field}: leave it out")
        return value


class ExpiryPolicyConfig(_Policy):
    """How long points live (see ExpiryPolicy): those of `unit`, or of all units without their own.

    Without `mode`, points live for `months`, or for ever where there are none.
    """

    asked: ClassVar[dict[str, set[str]]] = {
        "months": {"months"},
        "clear_out": {"clear_month", "clear_day", "years_after"},
        "inactivity": {"idle_months"},
    }

    effective_from: AwareDatetime
    unit: str | None = Field(default=None, pattern=CODE)
    mode: Literal["months", "clear_out", "inactivity", "never"]
    months: int | None = Field(default=None, gt=0, le=_MOST_MONTHS)
    round_up_to: Literal["day", "month", "quarter", "year"] = "month"
    clear_month: int | None = Field(default=None, ge=1, le=12)
    clear_day: int | None = Field(default=None, ge=1, le=31)
    years_after: int | None = Field(default=None, ge=0, le=2)
    idle_months: int | None = Field(default=None, gt=0, le=_MOST_MONTHS)
    exempt_tiers: list[Annotated[str, Field(pattern=CODE)]] = []

    @model_validator(mode="before")
    @classmethod
    def _mode_of_before(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {"mode": "never" if given.get("months") is None else "months", **given}

    @field_validator("clear_day")
    @classmethod
    def _day_exists(cls, day: int | None, info: ValidationInfo) -> int | None:
        month = info.data.get("clear_month")
        if day is not None and month is not None:
            try:
                date(2000, month, day)  # a leap year: 29 February may be meant
            except ValueError as bad:
                raise ValueError(f"month {month} has no day {day}") from bad
        return day


class ActivationPolicyConfig(_Policy):
    """When what a business grants becomes available (see ActivationPolicy)."""

    asked: ClassVar[dict[str, set[str]]] = {"after_days": {"days"}}

    business: str
    effective_from: AwareDatetime
    mode: Literal["at_once", "after_days", "on_checkout"]
    days: int | None = Field(default=None, gt=0, le=3_660)


class ClawbackPolicyConfig(_Policy):
    """What an issuer does about points that are no longer there (see ClawbackPolicy)."""

    asked: ClassVar[dict[str, set[str]]] = {"negative_to_limit": {"limit_points"}}

    business: str
    effective_from: AwareDatetime
    mode: Literal["within_balance", "negative_to_limit", "receivable"]
    limit_points: int | None = Field(default=None, gt=0, le=_MOST_POINTS)


class AcceptanceRuleConfig(_Config):
    """What points an acceptor takes (see AcceptanceRule)."""

    model_config = ConfigDict(validate_default=True)

    business: str
    effective_from: AwareDatetime
    step_points: int = Field(default=1, gt=0, le=_MOST_POINTS)
    minimum_points: Points = 0
    maximum_share: Decimal | None = Field(default=None, gt=0, le=1, decimal_places=4)
    point_value: Decimal | None = Field(default=None, gt=0, max_digits=12, decimal_places=8)

    @field_validator("minimum_points")
    @classmethod
    def _in_steps(cls, points: int, info: ValidationInfo) -> int:
        step = info.data.get("step_points", 1)
        if points % step:
            raise ValueError(f"must be a multiple of step_points, {step}")
        return points

    @field_validator("point_value")
    @classmethod
    def _weighs_a_share(cls, value: Decimal | None, info: ValidationInfo) -> Decimal | None:
        if "maximum_share" in info.data and (value is None) != (info.data["maximum_share"] is None):
            raise ValueError("a maximum_share of the bill and a point_value are given together")
        return value


class PointsPolicyConfig(_Config):
    """What members and staff may do with points (see PointsPolicy, whose defaults these are)."""

    effective_from: AwareDatetime
    send_limit_points: Points = _DEFAULTS.send_limit_points
    receive_limit_points: Points = _DEFAULTS.receive_limit_points
    pool_limit_points: Points = _DEFAULTS.pool_limit_points
    pool_members: int = Field(default=_DEFAULTS.pool_members, ge=2, le=1_000)
    adjust_alone_points: Points = _DEFAULTS.adjust_alone_points
    restore_grace_days: int = Field(default=_DEFAULTS.restore_grace_days, ge=0, le=3_660)
    extension_months: int = Field(default=_DEFAULTS.extension_months, ge=0, le=_MOST_MONTHS)


class TillPolicyConfig(_Config):
    """What a business allows to be taken off a cart (see TillPolicy, whose defaults these are)."""

    business: str
    effective_from: AwareDatetime
    line_share: Share | None = None
    cost_margin: Annotated[Decimal, Field(ge=0, le=100, decimal_places=4)] | None = None
    bill_share: Share | None = None
    most_vouchers: int = Field(default=_AT_TILLS.most_vouchers, ge=0, le=20)
    vouchers_with_benefits: bool = _AT_TILLS.vouchers_with_benefits


class PoliciesConfig(_Config):
    """The units and policies of a group's points."""

    units: tuple[UnitConfig, ...] = ()
    expiry_policies: tuple[ExpiryPolicyConfig, ...] = ()
    activation_policies: tuple[ActivationPolicyConfig, ...] = ()
    clawback_policies: tuple[ClawbackPolicyConfig, ...] = ()
    acceptance_rules: tuple[AcceptanceRuleConfig, ...] = ()
    points_policies: tuple[PointsPolicyConfig, ...] = ()
    till_policies: tuple[TillPolicyConfig, ...] = ()
