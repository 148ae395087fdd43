"""The parts of the Connector API's resources that are read. Amounts are JSON numbers, exact."""

from decimal import Decimal

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from hub.connector import Read
from hub.units import MOST_MINOR


class _Resource(Read):
    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=to_pascal, populate_by_name=True
    )


class TaxValue(_Resource):
    """One tax within an amount."""

    code: str | None = None
    value: Decimal = Field(ge=-MOST_MINOR, le=MOST_MINOR)


class Amount(_Resource):
    """What an item costs; `gross_value` holds the taxes. Negative is a rebate or a payment."""

    currency: str
    net_value: Decimal = Field(ge=-MOST_MINOR, le=MOST_MINOR)
    gross_value: Decimal
    tax_values: tuple[TaxValue, ...] = ()


class RebateData(_Resource):
    """Which item a rebate lowers."""

    rebated_item_id: str | None = None


class AllowanceData(_Resource):
    """Which item an allowance paid for."""

    discounted_order_item_id: str | None = None


class ItemData(_Resource):
    """What is particular to an item's type."""

    rebate: RebateData | None = None
    allowance_discount: AllowanceData | None = None


class OrderItem(_Resource):
    """A charge, or a rebate of one."""

    id: str
    type: str
    account_id: str | None = None
    account_type: str | None = None
    accounting_category_id: str | None = None
    accounting_state: str
    external_identifier: str | None = None
    unit_count: int = 1
    amount: Amount
    created_utc: AwareDatetime
    canceled_utc: AwareDatetime | None = None
    data: ItemData | None = None

    @property
    def gives_back_to(self) -> str | None:
        """The id of the item that this one lowers, where it says so."""
        if self.data is None:
            return None
        if self.data.rebate is not None:
            return self.data.rebate.rebated_item_id
        allowance = self.data.allowance_discount
        return allowance.discounted_order_item_id if allowance is not None else None


class ExternalPaymentData(_Resource):
    """What an external payment was, and what the system that took it calls it."""

    type: str | None = None
    external_identifier: str | None = None


class PaymentData(_Resource):
    """What is particular to a payment's type."""

    external: ExternalPaymentData | None = None


class Payment(_Resource):
    """A payment; its amount is negative."""

    id: str
    type: str
    state: str
    amount: Amount
    created_utc: AwareDatetime
    data: PaymentData | None = None


class ReservationHead(_Resource):
    """What decides whether a reservation came to anything."""

    id: str
    state: str


class Reservation(ReservationHead):
    """A reservation, version 2023-06-06."""

    service_id: str
    account_id: str
    account_type: str
    number: str | None = None
    cancellation_reason: str | None = None
    cancelled_utc: AwareDatetime | None = None
    updated_utc: AwareDatetime
    scheduled_start_utc: AwareDatetime
    actual_start_utc: AwareDatetime | None = None
    scheduled_end_utc: AwareDatetime
    actual_end_utc: AwareDatetime | None = None
    partner_company_id: str | None = None
    travel_agency_id: str | None = None


class Customer(_Resource):
    """A guest's profile."""

    id: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    has_ota_email: bool = False
    phone: str | None = None
    birth_date: str | None = None
    loyalty_code: str | None = None
    merge_target_id: str | None = None
    updated_utc: AwareDatetime


class ReservationState(Read):
    """A snapshot read only as far as it takes to know whether a stay is in it."""

    reservation: ReservationHead


class StaySnapshot(Read):
    """What hydration brings together."""

    reservation: Reservation
    order_items: tuple[OrderItem, ...] = ()
    payments: tuple[Payment, ...] = ()
    customers: tuple[Customer, ...] = ()
