"""What a voucher gives, where and when: its campaign's terms, as they were when it was issued."""

from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Row


class VoucherKind(StrEnum):
    """What a voucher takes off a bill, or gives beside it."""

    CASH = "cash"
    PERCENTAGE = "percentage"
    THRESHOLD = "threshold"
    GIFT = "gift"
    POINTS = "points"
    DELIVERY = "delivery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Days of the week (1 Monday … 7 Sunday) and hours, `until` exclusive, in the shop's zone.

    Hours that end before they begin go on past midnight and belong to the day they began on.
    """

    weekdays: tuple[int, ...]
    begins: time
    until: time

    def covers(self, local: datetime) -> bool:
        """Say whether the shop's wall clock lies in these hours."""
        at, day = local.time().replace(tzinfo=None), local.isoweekday()
        if self.begins < self.until:
            return day in self.weekdays and self.begins <= at < self.until
        before = (day - 2) % 7 + 1
        return (day in self.weekdays and at >= self.begins) or (
            before in self.weekdays and at < self.until
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherTerms:
    """The terms of a voucher; money in minor units of `currency`.

    `granted` is what a voucher has at first: uses, or minor units where `by_value` (a cash voucher
    whose rest is kept). `price_minor` is what `funder_id` pays per use; None: what was taken off.
    `valid_until` is exclusive. Empty `outlets`, `categories` and `times` mean all. `version` names
    the row for good, whatever else a database called by this number: terms never change.
    """

    terms_id: int
    version: str
    campaign_code: str
    kind: VoucherKind
    name: str
    name_zh: str
    effective_from: datetime
    valid_from: datetime
    valid_until: datetime
    valid_days: int | None
    granted: int
    by_value: bool
    amount_minor: int | None
    cap_minor: int | None
    threshold_minor: int | None
    repeats: bool
    percent: Decimal | None
    item: str | None
    points: int | None
    currency: str
    funder_id: int
    price_minor: int | None
    per_member: int | None
    minimum_minor: int
    businesses: tuple[int, ...]
    outlets: tuple[str, ...]
    categories: tuple[str, ...]
    times: tuple[Hours, ...]
    stacking_group: str | None
    alone: bool
    transferable: bool
    on_refund: str
    grace_days: int


TERMS_COLUMNS = """
  t.terms_id, t.terms_id || '.' || t.xmin AS version, c.code AS campaign_code, c.kind, t.name,
  t.name_zh, t.effective_from, t.valid_from, t.valid_until, t.valid_days, t.granted, t.by_value,
  t.amount_minor, t.cap_minor, t.threshold_minor, t.repeats, t.percent, t.item, t.points,
  t.currency, t.funder_id, t.price_minor, t.per_member, t.minimum_minor, t.businesses,
  t.outlets, t.categories, t.times, t.stacking_group, t.alone, t.transferable,
  t.on_refund, t.grace_days"""


def terms_of(row: Row[Any]) -> VoucherTerms:
    """Read the terms in a row that has TERMS_COLUMNS."""
    facts = {name: getattr(row, name) for name in VoucherTerms.__slots__}
    facts["kind"] = VoucherKind(row.kind)
    for name in ("businesses", "outlets", "categories"):
        facts[name] = tuple(facts[name])
    facts["times"] = tuple(_hours(each) for each in row.times)
    return VoucherTerms(**facts)


def _hours(packed: dict[str, Any]) -> Hours:
    return Hours(
        weekdays=tuple(packed["weekdays"]),
        begins=time.fromisoformat(packed["from"]),
        until=time.fromisoformat(packed["until"]),
    )
