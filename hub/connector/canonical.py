"""The canonical event: what a business fact is, once its system's dialect is taken off.

Connectors label; they never decide what earns. Amounts are integer minor units of `currency`;
times are UTC instants; `business_date` is the outlet's trading day. Signs: a sale's lines and
tenders are positive (a discount is carried in `discount_minor`, not as a line), a refund's
lines and tenders are positive too: the event's type says which way the money went.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from hub.connector.bounds import require_amount, require_id, require_instant, require_rate
from hub.errors import Malformed


class EventType(StrEnum):
    """What happened. Named after the CloudEvents `type` attribute of the canonical envelope."""

    SALE_COMPLETED = "sale.completed"
    SALE_VOIDED = "sale.voided"
    REFUND_RECORDED = "refund.recorded"
    STAY_COMPLETED = "stay.completed"
    STAY_CANCELLED = "stay.cancelled"
    STAY_NO_SHOW = "stay.no_show"
    PAYMENT_RECORDED = "payment.recorded"
    PAYMENT_REVERSED = "payment.reversed"
    PROFILE_CHANGED = "profile.changed"
    MEMBERSHIP_PAID = "membership.paid"
    MEMBERSHIP_REFUNDED = "membership.refunded"


class LineKind(StrEnum):
    """What a line of a sale, stay or refund is for."""

    ITEM = "item"
    ROOM = "room"
    PACKAGE = "package"
    FEE = "fee"
    SERVICE_CHARGE = "service_charge"
    GRATUITY = "gratuity"
    SHIPPING = "shipping"
    TAX = "tax"
    DEPOSIT = "deposit"
    GIFTCARD_SALE = "giftcard_sale"
    STORED_VALUE_LOAD = "stored_value_load"
    CITY_TAX = "city_tax"
    REBATE = "rebate"
    ROUNDING = "rounding"
    NO_SHOW_FEE = "no_show_fee"
    CANCELLATION_FEE = "cancellation_fee"


class TenderKind(StrEnum):
    """What a bill was paid with."""

    CASH = "cash"
    CARD = "card"
    WALLET = "wallet"
    GIFTCARD = "giftcard"
    STORED_VALUE = "stored_value"
    POINTS = "points"
    VOUCHER = "voucher"
    ROOM_CHARGE = "room_charge"
    HOUSE_ACCOUNT = "house_account"
    CITY_LEDGER = "city_ledger"
    COMP = "comp"
    OTHER = "other"


class Role(StrEnum):
    """What a person or company is to an event."""

    PURCHASER = "purchaser"
    GUEST = "guest"
    ACCOMPANYING = "accompanying"
    PAYER_COMPANY = "payer_company"
    AGENT = "agent"
    GROUP_MASTER = "group_master"


class HintType(StrEnum):
    """What a hint about a person is. A hint never merges people by itself."""

    LOYALTY_ID = "loyalty_id"
    PHONE = "phone"
    EMAIL = "email"
    UNIONID = "unionid"
    OPENID = "openid"
    NAME = "name"
    BIRTHDAY = "birthday"
    ID_DOCUMENT_HASH = "id_document_hash"


class FactKey(NamedTuple):
    """What makes a business fact one: its kind and the id its own system gave it."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Something said about a person, and whether the source had verified it."""

    type: HintType
    value: str
    verified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A person or company of an event; `external_id` is the source's own customer id, if any.

    `referred_by` is who brought a new member, as the source has it: a referral code of the hub, or
    its own customer id of theirs.
    """

    role: Role
    external_id: str | None
    hints: tuple[Hint, ...] = ()
    referred_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tax:
    """One tax on one line. `included`: the line's gross already holds it."""

    code: str
    amount_minor: int
    rate: Decimal | None = None
    included: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: `net_minor` is after discounts and without tax. `reverses` names a sold line.

    On a folio, `check` is the number of a till's check that was charged to the room, and
    `charged_on` the hotel's trading day when it was.
    """

    id: str
    kind: LineKind
    quantity: Decimal = Decimal(1)
    gross_minor: int
    discount_minor: int = 0
    net_minor: int
    taxes: tuple[Tax, ...] = ()
    category: str | None = None
    reverses: str | None = None
    check: str | None = None
    charged_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tender:
    """One means of payment on a bill; `amount_minor` includes no tip.

    `reference` of a tender in points is the redemption behind it, as the receipt names it: the key
    under which the till asked for it, or the number of its transaction. That of a room charge is
    the check's number, as the folio names it.
    """

    id: str
    kind: TenderKind
    amount_minor: int
    tip_minor: int = 0
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The bill's totals; they balance: net + tax + tip = total."""

    net_minor: int
    tax_minor: int
    tip_minor: int
    total_minor: int

    def __post_init__(self) -> None:
        if self.net_minor + self.tax_minor + self.tip_minor != self.total_minor:
            raise Malformed(
                f"net {self.net_minor} + tax {self.tax_minor} + tip {self.tip_minor} "
                f"is not the total {self.total_minor}",
                field="totals.total_minor",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """What a refund undoes. `original` names the sale, stay or payment; without lines the whole
    `amount_minor` is unallocated and is spread over the sale's lines by what is left of each.
    """

    original: FactKey
    amount_minor: int
    unallocated_minor: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.unallocated_minor <= self.amount_minor:
            raise Malformed(
                f"a refund of {self.amount_minor} leaves {self.unallocated_minor} unallocated",
                field="refund.amount_minor",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPayment:
    """What was paid for one period of a plan of paid membership, which the group's file names."""

    plan: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """The stay behind a hotel's event."""

    reservation_id: str
    confirmation: str | None
    arrival: datetime
    departure: datetime
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalEvent:
    """One business fact. `(connection, fact)` is its identity, however often it arrives."""

    type: EventType
    fact: FactKey
    occurred_at: datetime
    business_date: date
    outlet: str | None = None
    entity: str
    entity_id: str
    source_version: int | None = None
    currency: str | None = None
    exchange_rate: Decimal | None = None
    """Major units of the business's currency per major unit of `currency`, if the source says."""
    lines: tuple[Line, ...] = ()
    tenders: tuple[Tender, ...] = ()
    totals: Totals | None = None
    refund: Refund | None = None
    stay: Stay | None = None
    plan_payment: PlanPayment | None = None
    parties: tuple[Party, ...] = ()
    references: tuple[FactKey, ...] = field(default=())
    """Other names of this fact, e.g. the payments of a sale: a refund may know only those."""

    def __post_init__(self) -> None:
        """Refuse what cannot be stored or counted; see hub.connector.bounds."""
        require_instant(self.occurred_at, field="occurred_at")
        require_id(self.entity_id, field=f"{self.entity}.id")
        if self.outlet is not None:
            require_id(self.outlet, field="outlet")
        if self.exchange_rate is not None:
            require_rate(self.exchange_rate, field="exchange_rate")
        for fact in (self.fact, *self.references):
            require_id(fact.id, field=f"{fact.kind}.id")
        for party in self.parties:
            if party.referred_by is not None:
                require_id(party.referred_by, field="customer.referred_by")
        for line in self.lines:
            require_id(line.id, field="lines.id")
            require_id(line.reverses or line.id, field="lines.reverses")
            require_amount(line.net_minor, field="lines.net_minor")
            if line.check is not None:
                require_id(line.check, field="lines.check")
            if line.category is not None:
                require_id(line.category, field="lines.category")
        for tender in self.tenders:
            require_amount(tender.amount_minor, field="tenders.amount_minor")
            require_id(tender.reference or tender.id, field="tenders.reference")
        if self.totals is not None:
            require_amount(self.totals.total_minor, field="totals.total_minor")
        if self.plan_payment is not None:
            require_id(self.plan_payment.plan, field="plan")
            require_amount(self.plan_payment.amount_minor, field="amount")
        if self.refund is not None:
            require_id(self.refund.original.id, field=f"{self.refund.original.kind}.id")
            require_amount(self.refund.amount_minor, field="refund.amount_minor")

    def party(self, *roles: Role) -> Party | None:
        """Return the first party in one of `roles`, in the order of `roles`."""
        for role in roles:
            for party in self.parties:
                if party.role is role:
                    return party
        return None
