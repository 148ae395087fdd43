"""The canonical form as it is written: one JSON object for each event.

Amounts are decimal text in major units ("118.00"), so that no reader turns them into floats.
Instants without a UTC offset are read in the time zone of the outlet or the connection. A field
that is not known is an error: it would be a misspelt one.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from hub.connector import HintType, LineKind, TenderKind


def _exact(value: Any) -> Any:
    """Refuse floats; they come from nowhere but a mistake of ours or of a caller in Python."""
    if isinstance(value, float | bool):
        raise ValueError("an amount is decimal text")
    return str(value) if isinstance(value, int | Decimal) else value


Amount = Annotated[str, BeforeValidator(_exact)]
Id = Annotated[str, Field(min_length=1, max_length=150)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaxDocument(_Document):
    """A tax on a line. `included`: the line's amount already holds it."""

    code: str = "tax"
    amount: Amount
    rate: Decimal | None = None
    included: bool = True


class LineDocument(_Document):
    """A line: `amount` is what it would cost without `discount`. `check` is the number of a till's
    check that was charged to the room on the day `charged_on`.
    """

    id: Id
    kind: LineKind = LineKind.ITEM
    name: str | None = None
    quantity: Decimal = Decimal(1)
    amount: Amount
    discount: Amount = "0"
    taxes: tuple[TaxDocument, ...] = ()
    category: str | None = None
    reverses: str | None = None
    check: Id | None = None
    charged_on: date | None = None


class TenderDocument(_Document):
    """What was paid with; `amount` includes no tip. `reference`: the redemption behind points, or
    the number of the check that was charged to a room.
    """

    id: Id | None = None
    kind: TenderKind
    amount: Amount
    tip: Amount = "0"
    reference: str | None = None


class CustomerDocument(_Document):
    """A customer by the system's own id, and what it knows of them; `verified`: what it proved.

    `referred_by`: who brought them, by a referral code or by the system's id of that customer.
    """

    id: Id | None = None
    phone: str | None = None
    email: str | None = None
    name: str | None = None
    birthday: str | None = None
    loyalty_id: str | None = None
    unionid: str | None = None
    openid: str | None = None
    referred_by: Id | None = None
    verified: frozenset[HintType] = frozenset()


class _Event(_Document):
    id: Id
    version: int | None = Field(default=None, ge=0)
    occurred_at: datetime
    business_date: date | None = None
    outlet: Id | None = None


class BillDocument(_Event):
    """A sale, or what a stay came to. `total` is what was to be paid, with tax and tip."""

    currency: str | None = None
    exchange_rate: Decimal | None = None
    lines: tuple[LineDocument, ...] = Field(min_length=1)
    tenders: tuple[TenderDocument, ...] = ()
    tip: Amount = "0"
    total: Amount | None = None
    customer: CustomerDocument | None = None
    payments: tuple[Id, ...] = ()


class StayDocument(BillDocument):
    """A stay that is over, with its bill."""

    confirmation: str | None = None
    arrival: datetime
    departure: datetime


class VoidDocument(_Event):
    """A sale that never was: `id` is the sale's."""


class EndedStayDocument(_Event):
    """A stay that was cancelled, or whose guest did not come: `id` is the reservation's."""

    arrival: datetime
    departure: datetime
    customer: CustomerDocument | None = None


class RefundDocument(_Event):
    """What was paid back of a `sale`, a `stay` or a `payment`: one of the three."""

    sale: Id | None = None
    stay: Id | None = None
    payment: Id | None = None
    currency: str | None = None
    amount: Amount
    lines: tuple[LineDocument, ...] = ()
    tenders: tuple[TenderDocument, ...] = ()


class PaymentDocument(_Event):
    """A payment, made or reversed."""

    currency: str | None = None
    tender: TenderDocument


class PlanPaidDocument(_Event):
    """A payment for one period of a `plan` of paid membership."""

    plan: Id
    amount: Amount
    currency: str | None = None
    customer: CustomerDocument


class PlanRefundedDocument(_Event):
    """What was paid back of a plan's `payment`, which its `id` names."""

    payment: Id
    amount: Amount
    currency: str | None = None


class ProfileDocument(_Event):
    """What the system knows of a customer by now: `id` is the customer's."""

    customer: CustomerDocument
