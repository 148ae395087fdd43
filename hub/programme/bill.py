"""A bill: what was sold where and when, and how it was paid."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """A line as sold: `net_minor` after discounts, without tax."""

    id: str
    kind: str
    net_minor: int
    category: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BillTender:
    """A means of payment; `amount_minor` without tip."""

    kind: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A bill in minor units of `currency`; `total_minor` is what was paid, tax and tip included.

    `exchange_rate` is what the bill itself says a major unit of its currency is worth, in major
    units of the business's.
    """

    occurred_at: datetime
    currency: str
    total_minor: int
    lines: tuple[BillLine, ...]
    tenders: tuple[BillTender, ...]
    outlet: str | None = None
    exchange_rate: Decimal | None = None
