"""Shopify through the kit, and what only Shopify does: gateways, included tax, refunds twice."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from connectors.conformance import NOW, Body, CannedUpstream, DialectConformance
from connectors.retail.shopify import connector
from connectors.retail.shopify.config import ShopifyConfig
from hub.connector import (
    Connection,
    EventType,
    FactKey,
    HintType,
    Inbound,
    LineKind,
    Refused,
    TenderKind,
    hmac_sha256_base64,
)
from hub.errors import Malformed
from tests.support.mutate import FUZZ, mutant_bodies, read_calmly


def line(number: int, price: str, quantity: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": number, "title": "Linen shirt", "price": price, "quantity": quantity, **more}


def off(amount: str) -> dict[str, Any]:
    return {"discount_allocations": [{"amount": amount, "discount_application_index": 0}]}


def vat(amount: str) -> dict[str, Any]:
    return {"tax_lines": [{"title": "VAT", "price": amount, "rate": 0.13}]}


def order(**changes: Any) -> dict[str, Any]:
    """200.00 of goods less 20.00, 10.00 for delivery, tax on top."""
    return {
        "id": 7001,
        "currency": "CNY",
        "created_at": "2026-03-05T20:15:00+08:00",
        "processed_at": "2026-03-05T20:15:02+08:00",
        "updated_at": "2026-03-05T20:15:03+08:00",
        "financial_status": "paid",
        "test": False,
        "taxes_included": False,
        "total_price": "213.40",
        "total_tax": "23.40",
        "total_tip_received": "0.00",
        "line_items": [
            line(1, "100.00", 2, **off("20.00"), **vat("23.40")),
        ],
        "shipping_lines": [{"id": 90, "price": "10.00", "tax_lines": []}],
        "payment_gateway_names": ["shopify_payments"],
        "refunds": [],
        "customer": {
            "id": 501,
            "email": "jingyi@example.com",
            "verified_email": True,
            "phone": "+8613800138000",
            "first_name": "静怡",
            "last_name": "李",
            "updated_at": "2026-03-01T10:00:00+08:00",
        },
        **changes,
    }


def refund(number: int, amount: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "order_id": 7001,
        "created_at": f"2026-03-0{number % 10}T10:00:00+08:00",
        "refund_line_items": [],
        "transactions": [
            {
                "id": number + 1000,
                "kind": "refund",
                "status": "success",
                "gateway": "shopify_payments",
                "amount": amount,
                "currency": "CNY",
            }
        ],
        "order_adjustments": [],
        **changes,
    }


def returned(quantity: int, subtotal: object, tax: object) -> dict[str, Any]:
    item = {"id": 31, "line_item_id": 1, "quantity": quantity}
    return {"refund_line_items": [{**item, "subtotal": subtotal, "total_tax": tax}]}


ONE_SHIRT = refund(8006, "101.70", **returned(1, 90.0, 11.70))
GOODWILL = refund(8007, "10.00")
LATER = order(
    updated_at="2026-03-07T10:00:00+08:00",
    financial_status="partially_refunded",
    refunds=[GOODWILL, ONE_SHIRT],
)


def body(document: object, topic: str | None = None) -> Body:
    return Body(json.dumps(document, ensure_ascii=False).encode(), topic)


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


class TestShopify(DialectConformance):
    connector = connector
    connection = Connection(
        connection_id="shop",
        config=ShopifyConfig(base_url="https://shop.example", access_token="shpat_example"),
        secrets=("shpss_new", "shpss_old"),
        time_zone="Asia/Shanghai",
        currency="CNY",
    )
    pushed = (
        body(order(), "orders/create"),
        body(order(), "orders/paid"),
        body(ONE_SHIRT, "refunds/create"),
        body(LATER, "orders/updated"),
        body(GOODWILL, "refunds/create"),
        body(LATER["customer"], "customers/update"),
    )
    pulled = (body({"orders": [LATER]}), body({"customer": LATER["customer"]}))
    expected = frozenset(
        {FactKey("sale", "7001"), FactKey("refund", "8006"), FactKey("refund", "8007")}
    )
    broken = (
        (body(without(order(), "id"), "orders/paid"), "id"),
        (body({"orders": [order(), {"id": None}]}), "orders[1].id"),
        (body(without(order(), "total_price"), "orders/paid"), "total_price"),
        (body(order(line_items=[line(1, "ten")]), "orders/paid"), "line_items[0].price"),
        (body(order(line_items=[line(1, "1.234")]), "orders/paid"), "line_items[0].price"),
        (body(order(total_price="999.00"), "orders/paid"), "total_price"),
        (body(order(total_tax="0.40"), "orders/paid"), "total_tax"),
        (body(order(created_at="yesterday"), "orders/paid"), "created_at"),
        (body(without(ONE_SHIRT, "order_id"), "refunds/create"), "order_id"),
        (
            body(refund(8008, "5.00", **returned(1, None, "0")), "refunds/create"),
            "refund_line_items[0].subtotal",
        ),
        (body(without(order()["customer"], "updated_at"), "customers/update"), "updated_at"),
    )
    refused = (
        (body(order(financial_status="pending"), "orders/create"), "financial_status is pending"),
        (body(order(test=True), "orders/paid"), "test order"),
        (body(without(order(), "line_items"), "orders/paid"), "without its line_items"),
        (body(refund(8009, "1.00", transactions=[]), "refunds/create"), "moved no money"),
        (body({"refund": without(ONE_SHIRT, "id")}), "calculated refund"),
        (body({"id": 1, "title": "Shirt"}, "products/update"), "products/update"),
        (body({"gift_card": {"id": 1}}), "gift_card"),
        (body([order()]), "bare list"),
    )
    checked = "Orchid & Pine"

    @FUZZ
    @given(changed=mutant_bodies((*pushed, *pulled)))
    async def test_whatever_comes_is_read_calmly(self, changed: Body) -> None:
        await read_calmly(self, changed)

    def sign(self, body: Body, secret: str | None) -> Inbound:
        headers = {
            "content-type": "application/json",
            "x-shopify-topic": body.topic or "",
            "x-shopify-webhook-id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
            "x-shopify-event-id": "98880550-7158-44d4-b7cd-2c97c8a091b5",
            "x-shopify-triggered-at": "2026-03-05T12:15:03.123456789Z",
        }
        if secret is not None:
            headers["x-shopify-hmac-sha256"] = hmac_sha256_base64(secret, body.raw)
        return Inbound(body=body.raw, headers=headers, url="https://hub.example/hooks/shop")

    def upstream(self) -> CannedUpstream:
        window = (
            "limit=250&updated_at_min=2026-01-01T00%3A00%3A00%2B00%3A00"
            "&updated_at_max=2026-03-31T12%3A00%3A00%2B00%3A00"
        )
        api = "/admin/api/2025-10"
        return CannedUpstream(
            {
                ("GET", f"{api}/shop.json"): b'{"shop": {"name": "Orchid & Pine"}}',
                ("GET", f"{api}/orders.json?status=any&{window}"): self.pulled[0].raw,
                ("GET", f"{api}/customers.json?{window}"): b'{"customers": []}',
            }
        )

    def test_the_delivery_keeps_both_ids_the_topic_and_the_time(self) -> None:
        signed = self.sign(self.pushed[1], "shpss_new")
        delivery = connector.verify(signed, self.connection, NOW)
        assert delivery.dedup_id == (
            "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043/98880550-7158-44d4-b7cd-2c97c8a091b5"
        )
        assert delivery.topic == "orders/paid"
        assert delivery.triggered_at is not None
        assert delivery.triggered_at.isoformat() == "2026-03-05T12:15:03.123456+00:00"

    async def test_a_sale_without_tax_included(self) -> None:
        (sale,) = await self.events(body(order(), "orders/paid"))
        shirt, delivery = sale.lines
        assert (shirt.gross_minor, shirt.discount_minor, shirt.net_minor) == (20000, 2000, 18000)
        assert shirt.quantity == 2
        assert shirt.taxes[0].amount_minor == 2340
        assert shirt.taxes[0].rate == Decimal("0.13")
        assert (delivery.kind, delivery.net_minor) == (LineKind.SHIPPING, 1000)
        assert sale.totals is not None
        assert sale.totals.total_minor == 21340
        assert str(sale.business_date) == "2026-03-05"
        assert [tender.kind for tender in sale.tenders] == [TenderKind.CARD]

    async def test_a_sale_with_tax_included(self) -> None:
        document = order(
            taxes_included=True,
            line_items=[line(1, "113.00", **vat("13.00"))],
            shipping_lines=[],
            total_price="113.00",
            total_tax="13.00",
        )
        (sale,) = await self.events(body(document, "orders/paid"))
        assert (sale.lines[0].gross_minor, sale.lines[0].net_minor) == (11300, 10000)
        assert sale.lines[0].taxes[0].included

    async def test_tax_that_only_the_order_states_is_shared_over_the_lines(self) -> None:
        document = order(
            line_items=[line(1, "10.00"), line(2, "20.00")],
            shipping_lines=[],
            total_price="31.00",
            total_tax="1.00",
        )
        (sale,) = await self.events(body(document, "orders/paid"))
        assert [one.taxes[0].amount_minor for one in sale.lines] == [33, 67]

    async def test_a_residual_of_a_cent_becomes_a_rounding_line(self) -> None:
        (sale,) = await self.events(body(order(total_price="213.41"), "orders/paid"))
        assert sale.lines[-1].kind is LineKind.ROUNDING
        assert sale.lines[-1].net_minor == 1

    async def test_gift_cards_and_tips_are_labelled(self) -> None:
        tip = line(3, "5.00", tip_payment_gateway=None)
        document = order(
            line_items=[line(1, "50.00", gift_card=True), tip],
            shipping_lines=[],
            total_tax="0.00",
            total_tip_received="5.00",
            total_price="55.00",
        )
        (sale,) = await self.events(body(document, "orders/paid"))
        assert [one.kind for one in sale.lines] == [LineKind.GIFTCARD_SALE]
        assert sale.totals is not None
        assert sale.totals.tip_minor == 500
        assert (sale.tenders[0].amount_minor, sale.tenders[0].tip_minor) == (5000, 500)

    async def test_several_gateways_are_hydrated_for_what_each_paid(self) -> None:
        document = order(payment_gateway_names=["group_points", "shopify_payments"])
        (thin,) = connector.decode(body(document, "orders/paid").raw, "orders/paid")
        assert thin.snapshot is None
        paid = [
            {"id": 1, "kind": "sale", "status": "success", "gateway": "group_points"}
            | {"amount": "13.40", "currency": "CNY", "authorization": "till-5"},
            {"id": 2, "kind": "sale", "status": "failure", "gateway": "shopify_payments"}
            | {"amount": "200.00", "currency": "CNY"},
            {"id": 3, "kind": "sale", "status": "success", "gateway": "shopify_payments"}
            | {"amount": "200.00", "currency": "CNY", "authorization": "of the card"},
        ]
        upstream = CannedUpstream(
            {
                ("GET", "/admin/api/2025-10/orders/7001.json"): body({"order": document}).raw,
                ("GET", "/admin/api/2025-10/orders/7001/transactions.json"): body(
                    {"transactions": paid}
                ).raw,
            }
        )
        snapshot = await connector.hydrate(upstream, thin, self.connection)
        assert upstream.asked[0][2] == {"X-Shopify-Access-Token": "shpat_example"}
        (event,) = connector.decode(body(snapshot_json(snapshot), "orders/paid").raw, "orders/paid")
        (sale,) = connector.map(event, (), self.connection)
        assert [(one.kind, one.amount_minor) for one in sale.tenders] == [
            (TenderKind.POINTS, 1340),
            (TenderKind.CARD, 20000),
        ]
        assert [one.reference for one in sale.tenders] == ["till-5", None]

    async def test_an_id_does_not_lead_elsewhere(self) -> None:
        document = order(id="1/../../shop", payment_gateway_names=["group_points", "cash"])
        (thin,) = connector.decode(body(document, "orders/paid").raw, "orders/paid")
        upstream = CannedUpstream({})
        with pytest.raises(Malformed):
            await connector.hydrate(upstream, thin, self.connection)
        assert upstream.asked[0][1] == "/admin/api/2025-10/orders/1%2F..%2F..%2Fshop.json"

    async def test_points_paid_back_name_their_redemption(self) -> None:
        moved = {"id": 1, "kind": "refund", "status": "success", "gateway": "group_points"}
        paid_back = [moved | {"amount": "13.40", "authorization": "till-5"}]
        (found,) = await self.events(body(refund(8005, "13.40", transactions=paid_back)))
        assert (found.tenders[0].kind, found.tenders[0].reference) == (TenderKind.POINTS, "till-5")

    async def test_a_partial_refund_reverses_its_line(self) -> None:
        (event,) = await self.events(body(ONE_SHIRT, "refunds/create"))
        assert event.type is EventType.REFUND_RECORDED
        assert event.refund is not None
        assert event.refund.original == FactKey("sale", "7001")
        assert (event.refund.amount_minor, event.refund.unallocated_minor) == (10170, 0)
        assert (event.lines[0].reverses, event.lines[0].net_minor) == ("1", 9000)

    async def test_a_refund_in_a_shop_whose_prices_include_tax(self) -> None:
        included = refund(8001, "113.00", **returned(1, "113.00", "13.00"))
        (event,) = await self.events(body(included, "refunds/create"))
        assert event.lines[0].net_minor == 10000
        assert event.refund is not None
        assert event.refund.unallocated_minor == 0

    async def test_a_refund_of_less_than_the_lines_are_worth_is_shared(self) -> None:
        less = refund(8001, "50.00", **returned(2, "90.00", "10.00"))
        (event,) = await self.events(body(less, "refunds/create"))
        assert event.lines[0].net_minor == 4500
        assert event.lines[0].taxes[0].amount_minor == 500

    async def test_shipping_alone_can_be_refunded(self) -> None:
        adjustment = {"id": 5, "kind": "shipping_refund", "amount": "-10.00", "tax_amount": "0.00"}
        shipping = refund(8001, "10.00", order_adjustments=[adjustment])
        (event,) = await self.events(body(shipping, "refunds/create"))
        assert [(one.kind, one.net_minor) for one in event.lines] == [(LineKind.SHIPPING, 1000)]

    @pytest.mark.parametrize("included", [False, True])
    async def test_a_refund_in_the_buyers_currency_is_what_the_lines_were_worth(
        self, included: bool
    ) -> None:
        def bag(shop: str, shown: str) -> dict[str, Any]:
            return {
                "shop_money": {"amount": shop, "currency_code": "CNY"},
                "presentment_money": {"amount": shown, "currency_code": "JPY"},
            }

        item = returned(1, 90.0, 11.70)["refund_line_items"][0]
        item |= {"subtotal_set": bag("90.00", "1800"), "total_tax_set": bag("11.70", "234")}
        moved = ONE_SHIRT["transactions"][0] | {"currency": "JPY"}
        parts = [
            moved | {"amount": "1000"},
            moved | {"id": 9, "amount": "800" if included else "1034"},
        ]
        (found,) = await self.events(
            body(ONE_SHIRT | {"refund_line_items": [item], "transactions": parts}, "refunds/create")
        )
        whole = 9000 if included else 10170
        assert found.refund is not None
        assert (found.currency, found.refund.amount_minor) == ("CNY", whole)
        assert sum(tender.amount_minor for tender in found.tenders) == whole
        assert found.refund.unallocated_minor == 0

    async def test_a_shop_may_account_in_another_currency_than_its_business(self) -> None:
        item = returned(1, 90.0, 11.70)["refund_line_items"][0]
        item |= {"subtotal_set": {"shop_money": {"amount": "90.00", "currency_code": "HKD"}}}
        moved = ONE_SHIRT["transactions"][0] | {"currency": "HKD"}
        (found,) = await self.events(
            body(
                ONE_SHIRT | {"refund_line_items": [item], "transactions": [moved]}, "refunds/create"
            )
        )
        assert found.refund is not None
        assert (found.currency, found.refund.amount_minor) == ("HKD", 10170)

    async def test_an_order_paid_in_the_buyers_currency_is_what_the_shop_accounts(self) -> None:
        bag = {
            "shop_money": {"amount": "213.40", "currency_code": "CNY"},
            "presentment_money": {"amount": "4268", "currency_code": "JPY"},
        }
        paid = {"kind": "sale", "status": "success", "currency": "JPY"}
        transactions = [
            {"id": 1, "gateway": "gift_card", "amount": "2134", **paid},
            {"id": 2, "gateway": "shopify_payments", "amount": "2134", **paid},
        ]
        (found,) = await self.events(
            body(order(total_price_set=bag, transactions=transactions), "orders/paid")
        )
        assert [tender.amount_minor for tender in found.tenders] == [10670, 10670]
        assert found.currency == "CNY"

    async def test_a_refund_in_another_currency_is_not_guessed(self) -> None:
        foreign = refund(8001, "10.00")
        foreign["transactions"][0]["currency"] = "USD"
        with pytest.raises(Malformed) as caught:
            await self.events(body(foreign, "refunds/create"))
        assert caught.value.field == "transactions[0].currency"

    @pytest.mark.parametrize(("currency", "minor"), [("JPY", 1200), ("KWD", 1200000)])
    async def test_currencies_without_and_with_three_decimals(
        self, currency: str, minor: int
    ) -> None:
        document = order(
            currency=currency,
            line_items=[line(1, "1200")],
            shipping_lines=[],
            total_tax="0",
            total_price="1200.0",
        )
        (sale,) = await self.events(body(document, "orders/paid"))
        assert sale.lines[0].net_minor == minor

    async def test_only_the_email_is_verified_by_shopify_itself(self) -> None:
        (sale,) = await self.events(body(order(), "orders/paid"))
        hints = {hint.type: (hint.value, hint.verified) for hint in sale.parties[0].hints}
        assert hints[HintType.EMAIL] == ("jingyi@example.com", True)
        assert hints[HintType.PHONE] == ("+8613800138000", False)
        assert hints[HintType.NAME] == ("李静怡", False)

    async def test_a_guest_checkout_proves_nothing(self) -> None:
        document = order(customer=None, email="someone@example.com")
        (sale,) = await self.events(body(document, "orders/paid"))
        assert sale.parties[0].external_id is None
        assert not any(hint.verified for hint in sale.parties[0].hints)

    def test_a_free_order_is_a_sale_of_nothing(self) -> None:
        free = order(
            line_items=[line(1, "10.00", **off("10.00"))],
            shipping_lines=[],
            total_tax="0.00",
            total_price="0.00",
            payment_gateway_names=[],
        )
        (event,) = connector.decode(body(free, "orders/paid").raw, "orders/paid")
        (sale,) = connector.map(event, (), self.connection)
        assert sale.tenders == ()
        assert sale.totals is not None
        assert sale.totals.total_minor == 0

    def test_a_pending_order_with_two_gateways_is_refused_without_a_call(self) -> None:
        document = order(financial_status="pending", payment_gateway_names=["a", "b"])
        (event,) = connector.decode(body(document, "orders/create").raw, "orders/create")
        with pytest.raises(Refused):
            connector.map(event, (), self.connection)


def snapshot_json(snapshot: Any) -> Any:
    """What hydration fetched, as plain JSON again (its decimals as text)."""
    return json.loads(json.dumps(snapshot, default=str))
