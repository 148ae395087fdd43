"""The shop on Shopify: orders with prices that include tax, and refunds of every sort."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from connectors.sandbox.people import Person
from hub.units import Money, share_by_largest_remainder

PRODUCTS = (
    ("Linen shirt", 39_900),
    ("Longjing tea, 100 g", 16_800),
    ("Ceramic cup", 8_800),
    ("Silk scarf", 56_800),
    ("Canvas bag", 19_900),
    ("Notebook", 3_500),
    ("Sandalwood candle", 15_800),
    ("Wool throw", 72_000),
)
GIFT_CARD = ("Gift card", 20_000)
_VAT_PERCENT = 13


@dataclass(slots=True)
class ShopOrder:
    """An order and what was refunded of it so far; `document` writes it as Shopify would."""

    number: int
    placed_at: datetime
    customer: dict[str, Any] | None
    lines: list[dict[str, Any]]
    worth: list[int]
    """What each line cost after discounts, with tax, in fen."""
    shipping: int
    gateway: str
    refunds: list[dict[str, Any]] = field(default_factory=list)
    returned: dict[int, int] = field(default_factory=dict)
    changed_at: datetime = field(init=False)
    """When it was last refunded or, before, placed."""

    def __post_init__(self) -> None:
        self.changed_at = self.placed_at

    @property
    def total(self) -> int:
        """What was paid, in fen."""
        return sum(self.worth) + self.shipping

    @property
    def paid_back(self) -> int:
        """What was paid back so far, in fen."""
        return sum(
            Money.parse(moved["amount"], "CNY").minor
            for refund in self.refunds
            for moved in refund["transactions"]
        )

    def document(self, updated_at: datetime, *, pending: bool = False) -> dict[str, Any]:
        """Write the order as it stands."""
        status = "pending" if pending else "paid"
        if self.refunds:
            status = "refunded" if self.paid_back >= self.total else "partially_refunded"
        tax = sum(_tax(worth) for worth in self.worth)
        return {
            "id": self.number,
            "name": f"#{self.number % 100_000}",
            "created_at": self.placed_at.isoformat(),
            "processed_at": self.placed_at.isoformat(),
            "updated_at": updated_at.isoformat(),
            "currency": "CNY",
            "test": False,
            "financial_status": status,
            "taxes_included": True,
            "total_price": _text(self.total),
            "current_total_price": _text(self.total - self.paid_back),
            "total_tax": _text(tax),
            "total_tip_received": "0.00",
            "payment_gateway_names": [self.gateway],
            "line_items": self.lines,
            "shipping_lines": [
                {"id": self.number * 10 + 9, "title": "Courier", "price": _text(self.shipping)}
            ]
            if self.shipping
            else [],
            "refunds": list(self.refunds),
            "customer": self.customer,
        }

    def transactions(self) -> list[dict[str, Any]]:
        """Write what paid the order, and what was paid back."""
        paid = {"id": self.number * 10 + 7, "kind": "sale", "status": "success"}
        paid |= {"gateway": self.gateway, "amount": _text(self.total), "currency": "CNY"}
        return [paid, *(moved for refund in self.refunds for moved in refund["transactions"])]

    def refund(
        self, at: datetime, quantities: dict[int, int], *, shipping: bool = False
    ) -> dict[str, Any]:
        """Give back some of each line, by index, and perhaps what delivery cost."""
        number = self.number * 100 + len(self.refunds) + 1
        items = [self._returned(number, i, count) for i, count in quantities.items()]
        amount = sum(Money.parse(one["subtotal"], "CNY").minor for one in items)
        adjustments = []
        if shipping and self.shipping:
            amount += self.shipping
            paid = {"amount": f"-{_text(self.shipping)}", "tax_amount": "0.00"}
            adjustments = [{"id": number * 10 + 8, "kind": "shipping_refund", **paid}]
        refund = {
            "id": number,
            "order_id": self.number,
            "created_at": at.isoformat(),
            "refund_line_items": items,
            "order_adjustments": adjustments,
            "transactions": [
                {
                    "id": number * 10 + 1,
                    "kind": "refund",
                    "status": "success",
                    "gateway": self.gateway,
                    "amount": _text(amount),
                    "currency": "CNY",
                }
            ],
        }
        self.refunds.append(refund)
        self.changed_at = at
        return refund

    def _returned(self, refund: int, index: int, count: int) -> dict[str, Any]:
        """Price what comes back so that a line returned in parts gives back exactly its worth."""
        quantity = self.lines[index]["quantity"]
        before = self.returned.get(index, 0)
        after = min(before + count, quantity)
        self.returned[index] = after
        worth, tax = self.worth[index], _tax(self.worth[index])
        part = worth * after // quantity - worth * before // quantity
        part_tax = tax * after // quantity - tax * before // quantity
        return {
            "id": refund * 10 + index + 2,
            "line_item_id": self.lines[index]["id"],
            "quantity": after - before,
            "subtotal": _text(part),
            "total_tax": _text(part_tax),
        }


def place_order(
    random: Random, number: int, placed_at: datetime, customer: dict[str, Any] | None
) -> ShopOrder:
    """Fill a basket, sometimes with a discount, a courier or a gift card."""
    basket = random.sample(PRODUCTS, k=random.choice((1, 1, 2, 3)))
    if random.random() < 0.04:
        basket.append(GIFT_CARD)
    quantities = [random.choice((1, 1, 1, 2)) for _ in basket]
    gross = [price * count for (_, price), count in zip(basket, quantities, strict=True)]
    off = sum(gross) // 10 if random.random() < 0.25 else 0
    discounts = share_by_largest_remainder(off, gross)
    worth = [whole - less for whole, less in zip(gross, discounts, strict=True)]
    lines = [
        _line(number * 10 + i, product, count, less, paid)
        for i, (product, count, less, paid) in enumerate(
            zip(basket, quantities, discounts, worth, strict=True)
        )
    ]
    return ShopOrder(
        number=number,
        placed_at=placed_at,
        customer=customer,
        lines=lines,
        worth=worth,
        shipping=random.choice((0, 0, 1_200, 2_000)),
        gateway=random.choice(("shopify_payments", "alipay", "wechat_pay", "cash")),
    )


def shop_customer(person: Person, since: datetime) -> dict[str, Any]:
    """Write a person as the shop's customer."""
    return {
        "id": 600_000 + person.number,
        "email": person.email_at("s"),
        "verified_email": True,
        "phone": person.phone_at("s"),
        "first_name": person.given,
        "last_name": person.family,
        "created_at": since.isoformat(),
        "updated_at": since.isoformat(),
    }


def quantities_of(order: ShopOrder, lines: Sequence[int]) -> dict[int, int]:
    """Return what is still to be returned of the given lines."""
    return {i: order.lines[i]["quantity"] - order.returned.get(i, 0) for i in lines}


def _line(
    number: int, product: tuple[str, int], count: int, discount: int, paid: int
) -> dict[str, Any]:
    title, price = product
    allocations = [{"amount": _text(discount), "discount_application_index": 0}]
    return {
        "id": number,
        "title": title,
        "sku": title.split(",")[0].lower().replace(" ", "-"),
        "quantity": count,
        "price": _text(price),
        "gift_card": product == GIFT_CARD,
        "discount_allocations": allocations if discount else [],
        "tax_lines": [{"title": "VAT", "price": _text(_tax(paid)), "rate": _VAT_PERCENT / 100}],
    }


def _tax(worth: int) -> int:
    return worth * _VAT_PERCENT // (100 + _VAT_PERCENT)


def _text(minor: int) -> str:
    return str(Money(minor, "CNY"))
