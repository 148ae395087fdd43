"""The hotel on Mews: reservations, and folios that go on changing after check-out."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from connectors.sandbox.delivery import identifier
from connectors.sandbox.people import Person
from connectors.sandbox.writing import number, read_number

SERVICE_ID = identifier("mews", "service", "stay")
ENTERPRISE_ID = identifier("mews", "enterprise")
INTEGRATION_ID = identifier("mews", "integration")
DESK_PHONE = "+862158880000"
_RATES = (98_000, 128_000, 168_000, 238_000)
_TAX_PERCENT = 6


@dataclass(slots=True)
class HotelStay:
    """A reservation with its order items and payments, as the Connector API returns them."""

    reservation: dict[str, Any]
    items: list[dict[str, Any]] = field(default_factory=list)
    payments: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The reservation's id."""
        return str(self.reservation["Id"])

    @property
    def charged_minor(self) -> int:
        """What the folio's standing charges come to, in fen."""
        standing = (one for one in self.items if one["CanceledUtc"] is None)
        return sum(max(_minor(one["Amount"]), 0) for one in standing)

    @property
    def given_back_minor(self) -> int:
        """What the folio's rebates come to, in fen, positive."""
        return -sum(min(_minor(one["Amount"]), 0) for one in self.items)

    def charge(self, kind: str, gross: int, at: datetime, **more: Any) -> dict[str, Any]:
        """Put a charge (or, negative, a rebate) on the folio."""
        item = {
            "Id": identifier(self.id, "item", len(self.items)),
            "EnterpriseId": ENTERPRISE_ID,
            "ServiceId": SERVICE_ID,
            "ServiceOrderId": self.id,
            "AccountId": self.reservation["AccountId"],
            "AccountType": "Customer",
            "AccountingCategoryId": identifier("mews", "category", kind),
            "AccountingState": "Closed",
            "Type": kind,
            "UnitCount": 1,
            "Amount": amount(gross),
            "CreatedUtc": utc(at),
            "ConsumedUtc": utc(at),
            "CanceledUtc": None,
            "Data": None,
            **more,
        }
        self.items.append(item)
        return item

    def pay(self, at: datetime) -> None:
        """Pay what is on the folio by card. Payments are negative here."""
        owed = sum(_minor(item["Amount"]) for item in self.items)
        self.payments.append(
            {
                "Id": identifier(self.id, "payment", len(self.payments)),
                "AccountId": self.reservation["AccountId"],
                "ReservationId": self.id,
                "Type": "CreditCardPayment",
                "State": "Charged",
                "AccountingState": "Closed",
                "Amount": amount(-owed, taxed=False),
                "CreatedUtc": utc(at),
                "Data": {"Discriminator": "CreditCard"},
            }
        )

    def rebate(self, item: dict[str, Any], at: datetime, *, half: bool) -> None:
        """Give an item back, all of it or half."""
        gross = _minor(item["Amount"])
        of = {"ProductId": identifier("mews", "product"), "RebatedItemId": item["Id"]}
        data = {"Discriminator": "Rebate", "Rebate": of}
        self.charge("NightRebate", -(gross // 2 if half else gross), at, Data=data)


def book(number: int, customer_id: str, arrival: datetime, nights: int) -> HotelStay:
    """Make a reservation that is confirmed and no more."""
    departure = arrival + timedelta(days=nights, hours=-3)
    return HotelStay(
        {
            "Id": identifier("mews", "reservation", number),
            "ServiceId": SERVICE_ID,
            "AccountId": customer_id,
            "AccountType": "Customer",
            "Number": str(10_000 + number),
            "State": "Confirmed",
            "Origin": "Connector",
            "CancellationReason": None,
            "CancelledUtc": None,
            "CreatedUtc": utc(arrival - timedelta(days=14)),
            "UpdatedUtc": utc(arrival - timedelta(days=14)),
            "ScheduledStartUtc": utc(arrival),
            "ActualStartUtc": None,
            "ScheduledEndUtc": utc(departure),
            "ActualEndUtc": None,
            "PartnerCompanyId": None,
            "TravelAgencyId": None,
        }
    )


def stay_through(
    random: Random, stay: HotelStay, arrival: datetime, nights: int, *, rate: int | None = None
) -> datetime:
    """Let the guest stay, charge every night and what they had, pay and leave; return when."""
    left_at = arrival + timedelta(days=nights, hours=-4)
    nightly = rate or random.choice(_RATES)
    for night in range(nights):
        stay.charge("SpaceOrder", nightly, arrival + timedelta(days=night, hours=8))
    if random.random() < 0.5:
        stay.charge("ProductOrder", 12_800 * nights, arrival + timedelta(hours=9))
    if random.random() < 0.3:
        gone = stay.charge("ProductOrder", 5_600, arrival + timedelta(hours=10))
        if random.random() < 0.3:
            gone |= {"CanceledUtc": utc(arrival + timedelta(hours=11))}
            gone |= {"AccountingState": "Canceled"}
    stay.reservation |= {
        "State": "Processed",
        "ActualStartUtc": utc(arrival),
        "ActualEndUtc": utc(left_at),
        "UpdatedUtc": utc(left_at),
    }
    stay.pay(left_at - timedelta(minutes=5))
    return left_at


def cancel(stay: HotelStay, at: datetime, *, no_show: bool) -> None:
    """Cancel the reservation, with a fee when the guest never came."""
    reason = "NoShow" if no_show else "RequestedByGuest"
    stay.reservation |= {"State": "Canceled", "CancellationReason": reason}
    stay.reservation |= {"CancelledUtc": utc(at), "UpdatedUtc": utc(at)}
    if no_show:
        stay.charge("CancellationFee", 50_000, at)


def hotel_customer(person: Person, since: datetime, *, sort: str = "direct") -> dict[str, Any]:
    """Write a person as the hotel's guest: booked directly, through a `site`, or by the `desk`,
    which types its own phone when it has none.
    """
    phone, email = person.phone_at("h"), person.email_at("h")
    if sort == "site":
        phone, email = None, f"{identifier(person.number)[:12]}@guest.booking-site.example"
    if sort == "desk":
        phone, email = DESK_PHONE, None
    return {
        "Id": identifier("mews", "customer", person.number),
        "FirstName": person.given,
        "LastName": person.family,
        "Email": email,
        "HasOtaEmail": sort == "site",
        "Phone": phone,
        "BirthDate": person.birthday.isoformat(),
        "LoyaltyCode": None,
        "MergeTargetId": None,
        "IsActive": True,
        "CreatedUtc": utc(since),
        "UpdatedUtc": utc(since),
    }


def amount(gross: int, *, taxed: bool = True) -> dict[str, Any]:
    """Write an amount in fen as Mews does: JSON numbers, tax within the gross."""
    sign = -1 if gross < 0 else 1
    tax = sign * (abs(gross) * _TAX_PERCENT // (100 + _TAX_PERCENT)) if taxed else 0
    return {
        "Currency": "CNY",
        "GrossValue": number(gross),
        "NetValue": number(gross - tax),
        "TaxValues": [{"Code": "CN-S", "Value": number(tax)}] if taxed else [],
    }


def utc(instant: datetime) -> str:
    """Write an instant as Mews does."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _minor(written: dict[str, Any]) -> int:
    return read_number(str(written["GrossValue"]))
