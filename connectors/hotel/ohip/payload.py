"""The parts of OHIP's resources that are read. Numbers come as numbers and as text."""

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from hub.connector import Read


def _number(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _listed(value: object) -> object:
    """A list, or the one within an object that counts it: both are published."""
    if isinstance(value, dict):
        return next((inner for inner in value.values() if isinstance(inner, list)), ())
    return () if value is None else value


Number = Annotated[str, BeforeValidator(_number)]
"""An id that is a number to one version and text to another."""


class _Resource(Read):
    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class Value(_Resource):
    """An amount of money; without a currency it is in the hotel's own."""

    amount: Decimal
    currency_code: str | None = None


class Posting(_Resource):
    """One transaction on a folio, at its charge (debit) or to its payment (credit)."""

    transaction_no: Number
    transaction_code: Number
    transaction_type: str | None = None
    transaction_date: str | None = None
    revenue_date: str | None = None
    posting_date: str | None = None
    posted_amount: Value | None = None
    debit_amount: Value | None = None
    credit_amount: Value | None = None
    quantity: Decimal | None = Field(default=None, ge=-(10**6), le=10**6)
    reference: str | None = None
    check_number: Number | None = None
    reference_transaction_no: Number | None = None
    reference_package_transaction_no: Number | None = None
    reverse_payment_transaction_no: Number | None = None
    paid_out: bool | None = False
    deferred_tax: bool | None = False
    rounding_difference_trx: bool | None = False


class Folio(_Resource):
    """A page of a window."""

    postings: tuple[Posting, ...] | None = None


class Window(_Resource):
    """One of a reservation's folio windows, each with a payee of its own."""

    folio_window_no: int | None = None
    folios: tuple[Folio, ...] | None = None


class Code(_Resource):
    """What a transaction code belongs to."""

    transaction_code: Number
    transaction_group: str | None = None


class Id(_Resource):
    """An id and what it identifies."""

    id: Number
    type: str | None = None


class PersonName(_Resource):
    """A name; the primary one is the guest's own."""

    given_name: str | None = None
    surname: str | None = None
    name_type: str | None = None


class Customer(_Resource):
    """A person."""

    person_name: tuple[PersonName, ...] | None = None
    birth_date: str | None = None


class Telephone(_Resource):
    """A phone or fax number."""

    phone_number: str | None = None
    phone_tech_type: str | None = None
    primary_ind: bool | None = False


class TelephoneInfo(_Resource):
    """A number in its list."""

    telephone: Telephone | None = None


class Email(_Resource):
    """An email address."""

    email_address: str | None = None
    primary_ind: bool | None = False


class EmailInfo(_Resource):
    """An address in its list."""

    email: Email | None = None


class Membership(_Resource):
    """A card of some programme."""

    membership_id: Number | None = None
    membership_type: str | None = None
    inactive: bool | None = False


class Profile(_Resource):
    """A profile: of a guest, a company, an agent or a group."""

    customer: Customer | None = None
    profile_type: str | None = None
    last_modify_date_time: str | None = None
    telephones: Annotated[tuple[TelephoneInfo, ...], BeforeValidator(_listed)] = ()
    emails: Annotated[tuple[EmailInfo, ...], BeforeValidator(_listed)] = ()
    profile_memberships: Annotated[tuple[Membership, ...], BeforeValidator(_listed)] = ()


class ProfileInfo(_Resource):
    """A profile and its ids."""

    profile_id_list: tuple[Id, ...] | None = None
    profile: Profile | None = None


class ReservationGuest(_Resource):
    """Somebody who stays."""

    profile_info: ProfileInfo | None = None
    primary: bool | None = False


class AttachedProfile(_Resource):
    """A company, agent or group behind the booking."""

    profile_id_list: tuple[Id, ...] | None = None
    reservation_profile_type: str | None = None


class RoomRate(_Resource):
    """What the room is and who pays its price."""

    pseudo_room: bool | None = False
    house_use_only: bool | None = False


class RoomStay(_Resource):
    """When, and in what room."""

    arrival_date: str
    departure_date: str
    pseudo_room: bool | None = False
    room_rates: tuple[RoomRate, ...] | None = None


class Cancellation(_Resource):
    """When the booking was given up."""

    date: str | None = None


class ReservationHead(_Resource):
    """What decides whether a reservation came to anything."""

    reservation_status: str


class Reservation(ReservationHead):
    """A reservation."""

    reservation_id_list: tuple[Id, ...]
    room_stay: RoomStay
    reservation_guests: tuple[ReservationGuest, ...] | None = None
    attached_profiles: tuple[AttachedProfile, ...] | None = None
    reservation_profiles: Annotated[tuple[AttachedProfile, ...], BeforeValidator(_listed)] = ()
    cancellation: Cancellation | None = None


class ReservationState(Read):
    """A snapshot read only as far as it takes to know whether a stay is in it."""

    reservation: ReservationHead


class StaySnapshot(Read):
    """What hydration brings together."""

    reservation: Reservation
    windows: tuple[Window, ...] = ()
    codes: tuple[Code, ...] = ()
    profile: Profile | None = None


class ProfileSnapshot(Read):
    """A guest's profile as it is fetched."""

    profile: Profile
