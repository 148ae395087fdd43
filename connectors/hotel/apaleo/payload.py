"""The parts of Apaleo's Booking and Finance resources that are read. Amounts are JSON numbers."""

from decimal import Decimal

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.alias_generators import to_camel

from hub.connector import Read
from hub.units import MOST_MINOR


class _Resource(Read):
    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class Embedded(_Resource):
    """A resource named by its id within another."""

    id: str


class Amount(_Resource):
    """What a charge or an allowance comes to; the gross holds the VAT."""

    gross_amount: Decimal
    net_amount: Decimal = Field(ge=-MOST_MINOR, le=MOST_MINOR)
    vat_type: str
    vat_percent: Decimal = Field(ge=0, le=1000)
    currency: str


class Value(_Resource):
    """An amount of money."""

    amount: Decimal
    currency: str


class Charge(_Resource):
    """Something charged; what is not posted yet is only planned. All of `quantity` is in it."""

    id: str
    type: str
    service_type: str
    is_posted: bool
    created: AwareDatetime
    amount: Amount
    quantity: int = 1
    sub_account_id: str | None = None
    moved_from: Embedded | None = None
    moved_to: Embedded | None = None
    routed_from: Embedded | None = None
    routed_to: Embedded | None = None


class Allowance(_Resource):
    """Something given back, of one charge or of the folio."""

    id: str
    service_type: str
    created: AwareDatetime
    amount: Amount
    source_charge_id: str | None = None
    moved_to: Embedded | None = None


class Payment(_Resource):
    """A payment that succeeded."""

    id: str
    method: str
    amount: Value
    payment_date: AwareDatetime | None = None
    receipt: str | None = None
    moved_to: Embedded | None = None


class Folio(_Resource):
    """A bill of a reservation: the guest's own, or one for whoever else pays."""

    id: str
    company: Embedded | None = None
    charges: tuple[Charge, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    payments: tuple[Payment, ...] = ()


class Guest(_Resource):
    """A person as the reservation has them: Apaleo keeps no profiles beside it."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    birth_date: str | None = None


class ReservationHead(_Resource):
    """What decides whether a reservation came to anything."""

    id: str
    status: str


class Reservation(ReservationHead):
    """A reservation of one room."""

    booking_id: str | None = None
    property: Embedded
    channel_code: str
    arrival: AwareDatetime
    departure: AwareDatetime
    modified: AwareDatetime
    check_in_time: AwareDatetime | None = None
    check_out_time: AwareDatetime | None = None
    cancellation_time: AwareDatetime | None = None
    no_show_time: AwareDatetime | None = None
    primary_guest: Guest | None = None
    additional_guests: tuple[Guest, ...] = ()
    company: Embedded | None = None


class ReservationState(Read):
    """A snapshot read only as far as it takes to know whether a stay is in it."""

    reservation: ReservationHead


class StaySnapshot(Read):
    """What hydration brings together."""

    reservation: Reservation
    folios: tuple[Folio, ...] = ()
