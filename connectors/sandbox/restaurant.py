"""The restaurant on Square: bills with tax in the prices, service charges, tips and refunds."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from connectors.sandbox.delivery import identifier
from connectors.sandbox.people import Person

LOCATIONS = (("LBUND", "Jade Kitchen, the Bund"), ("LJINGAN", "Jade Kitchen, Jing'an"))
DISHES = (
    ("Dan dan noodles", 4_800),
    ("Red-braised pork", 12_800),
    ("Mapo tofu", 5_800),
    ("Steamed sea bass", 23_800),
    ("Xiaolongbao", 6_800),
    ("Stir-fried greens", 3_800),
    ("Yellow wine, pot", 16_800),
    ("Jasmine tea", 2_800),
)
_TAX = {"uid": "vat", "name": "VAT", "type": "INCLUSIVE", "percentage": "6", "scope": "ORDER"}
_TAX_PERCENT = 6


@dataclass(slots=True)
class Bill:
    """An order with its payment and refunds, as the Orders, Payments and Refunds APIs have them."""

    order: dict[str, Any]
    payment: dict[str, Any]
    refunds: list[dict[str, Any]]

    @property
    def total(self) -> int:
        """What was paid with the tip, in fen."""
        return int(self.payment["total_money"]["amount"])

    def refund(self, at: datetime, fen: int) -> dict[str, Any]:
        """Pay some of it back. The refund gets an order of its own, and knows only the payment."""
        number = len(self.refunds) + 1
        refund = {
            "id": f"{self.payment['id']}_R{number}",
            "status": "COMPLETED",
            "payment_id": self.payment["id"],
            "order_id": square_id(self.payment["id"], "refund", number),
            "location_id": self.payment["location_id"],
            "created_at": _utc(at),
            "updated_at": _utc(at),
            "amount_money": money(fen),
            "destination_type": self.payment["source_type"],
        }
        self.refunds.append(refund)
        return refund


def dine(random: Random, number: int, closed_at: datetime, customer_id: str | None) -> Bill:
    """Serve a table, bring the bill, take the payment."""
    location, _ = random.choice(LOCATIONS)
    courses = random.sample(DISHES, k=random.choice((2, 3, 4)))
    lines = [_line(i, dish, random.choice((1, 1, 2))) for i, dish in enumerate(courses)]
    eaten = sum(line["total_money"]["amount"] for line in lines)
    charges = [_service(eaten // 10)] if random.random() < 0.4 else []
    total = eaten + sum(charge["total_money"]["amount"] for charge in charges)
    tip = random.choice((0, 0, 0, 2_000))
    taxes = sum(line["total_tax_money"]["amount"] for line in (*lines, *charges))
    order_id = square_id("order", number)
    payment_id = square_id("payment", number)
    source = random.choice(("CARD", "CARD", "WALLET", "CASH"))
    opened_at = closed_at - timedelta(minutes=75)
    order = {
        "id": order_id,
        "location_id": location,
        "customer_id": customer_id,
        "version": 4,
        "state": "COMPLETED",
        "created_at": _utc(opened_at),
        "updated_at": _utc(closed_at),
        "closed_at": _utc(closed_at),
        "line_items": lines,
        "service_charges": charges,
        "taxes": [_TAX],
        "total_money": money(total + tip),
        "total_tax_money": money(taxes),
        "total_tip_money": money(tip),
        "tenders": [
            {
                "id": payment_id,
                "payment_id": payment_id,
                "type": source,
                "amount_money": money(total + tip),
                "tip_money": money(tip),
            }
        ],
    }
    payment = {
        "id": payment_id,
        "status": "COMPLETED",
        "created_at": _utc(closed_at - timedelta(minutes=1)),
        "updated_at": _utc(closed_at),
        "location_id": location,
        "order_id": order_id,
        "customer_id": customer_id,
        "source_type": source,
        "amount_money": money(total),
        "tip_money": money(tip),
        "total_money": money(total + tip),
    }
    return Bill(order=order, payment=payment, refunds=[])


def webhook(
    kind: str, inner: str, document: dict[str, Any], at: datetime, n: int
) -> dict[str, Any]:
    """Wrap a document in Square's event envelope."""
    entity = str(document.get("id") or document.get("order_id"))
    return {
        "merchant_id": "MJADEKITCHEN",
        "type": kind,
        "event_id": identifier("square", kind, entity, n),
        "created_at": _utc(at),
        "data": {"type": inner, "id": entity, "object": {inner: document}},
    }


def order_notice(order: dict[str, Any], *, state: str, version: int) -> dict[str, Any]:
    """Write the little that Square tells of an order: that there is something to fetch."""
    return {
        "order_id": order["id"],
        "version": version,
        "location_id": order["location_id"],
        "state": state,
        "created_at": order["created_at"],
        "updated_at": order["updated_at"] if state == "COMPLETED" else order["created_at"],
    }


def restaurant_customer(person: Person, since: datetime) -> dict[str, Any]:
    """Write a person as the restaurant's customer."""
    found = {
        "id": square_id("customer", person.number),
        "version": 1,
        "created_at": _utc(since),
        "updated_at": _utc(since),
        "given_name": person.given,
        "family_name": person.family,
        "birthday": person.birthday.isoformat() if person.number % 3 == 0 else None,
        "phone_number": person.phone_at("t"),
        "email_address": person.email_at("t"),
    }
    return {key: value for key, value in found.items() if value is not None}


def square_id(*parts: object) -> str:
    """Return an id of the sort that Square makes."""
    return identifier("square", *parts).replace("-", "").upper()[:22]


def money(fen: int) -> dict[str, Any]:
    """Write an amount as Square does."""
    return {"amount": fen, "currency": "CNY"}


def _line(index: int, dish: tuple[str, int], count: int) -> dict[str, Any]:
    name, price = dish
    gross = price * count
    tax = gross * _TAX_PERCENT // (100 + _TAX_PERCENT)
    return {
        "uid": f"line-{index + 1}",
        "name": name,
        "quantity": str(count),
        "item_type": "ITEM",
        "base_price_money": money(price),
        "gross_sales_money": money(gross),
        "total_discount_money": money(0),
        "total_tax_money": money(tax),
        "total_money": money(gross),
        "applied_taxes": [{"uid": f"t{index}", "tax_uid": "vat", "applied_money": money(tax)}],
    }


def _service(fen: int) -> dict[str, Any]:
    return {
        "uid": "service",
        "name": "Service 10 %",
        "type": "CUSTOM",
        "applied_money": money(fen),
        "total_money": money(fen),
        "total_tax_money": money(0),
    }


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
