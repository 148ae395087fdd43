"""WooCommerce through the kit, and what only WooCommerce does: negative fees, taxes beside lines,
refunds that must be asked for, orders that were paid and taken back.
"""

import json
from typing import Any

import pytest
from hypothesis import given

from connectors.conformance import NOW, Body, CannedUpstream, DialectConformance
from connectors.retail.woocommerce import connector
from connectors.retail.woocommerce.config import WooCommerceConfig
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    HintType,
    Inbound,
    LineKind,
    TenderKind,
    hmac_sha256_base64,
)
from tests.support.mutate import FUZZ, mutant_bodies, read_calmly

API = "/wp-json/wc/v3"


def item(number: int, total: str, **more: Any) -> dict[str, Any]:
    """A sold line without tax or coupon, unless told."""
    return {
        "id": number,
        "name": "Linen shirt",
        "product_id": 93,
        "quantity": 1,
        "subtotal": total,
        "subtotal_tax": "0.00",
        "total": total,
        "total_tax": "0.00",
        "taxes": [],
        "meta_data": [],
        "price": 1.5,
        **more,
    }


def line(number: int, total: str, **more: Any) -> dict[str, Any]:
    """A shipping or fee line."""
    return {"id": number, "name": "Flat", "total": total, "total_tax": "0.00", **more}


def order(**changes: Any) -> dict[str, Any]:
    """Two shirts of 100.00 less a coupon of 20.00, with 13 % tax on top, and 10.00 of delivery."""
    shirts = item(
        31,
        "180.00",
        quantity=2,
        subtotal="200.00",
        subtotal_tax="26.00",
        total_tax="23.40",
        taxes=[{"id": 5, "total": "23.4", "subtotal": "26"}],
    )
    return {
        "id": 727,
        "parent_id": 0,
        "status": "processing",
        "currency": "CNY",
        "date_created": "2026-03-05T20:10:00",
        "date_created_gmt": "2026-03-05T12:10:00",
        "date_modified": "2026-03-05T20:15:02",
        "date_modified_gmt": "2026-03-05T12:15:02",
        "date_paid": "2026-03-05T20:15:00",
        "date_paid_gmt": "2026-03-05T12:15:00",
        "prices_include_tax": False,
        "total": "213.40",
        "total_tax": "23.40",
        "customer_id": 25,
        "billing": {
            "first_name": "静怡",
            "last_name": "李",
            "email": "jingyi@example.com",
            "phone": "13800138000",
        },
        "payment_method": "stripe",
        "payment_method_title": "Credit card",
        "transaction_id": "ch_1",
        "meta_data": [{"id": 1, "key": "_card", "value": "4111111111111111"}],
        "line_items": [shirts],
        "tax_lines": [{"rate_id": 5, "rate_code": "CN-VAT-1", "label": "VAT", "rate_percent": 13}],
        "shipping_lines": [line(41, "10.00", method_title="Courier")],
        "fee_lines": [],
        "coupon_lines": [],
        "refunds": [],
        **changes,
    }


def reversing(number: int, sold: int, total: str, tax: str = "0.00") -> dict[str, Any]:
    meta = [{"id": 9, "key": "_refunded_item_id", "value": str(sold)}]
    return item(number, total, quantity=-1, total_tax=tax, meta_data=meta)


def refund(number: int, amount: str, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "date_created": "2026-03-07T18:00:00",
        "date_created_gmt": f"2026-03-07T10:00:{number % 60:02}",
        "amount": amount,
        "reason": "",
        "refunded_by": 1,
        "refunded_payment": True,
        "line_items": list(lines),
        "shipping_lines": [],
        "fee_lines": [],
        **more,
    }


ONE_SHIRT = refund(801, "101.70", reversing(51, 31, "-90.00", "-11.70"))
GOODWILL = refund(802, "10.00")
LATER = order(
    date_modified="2026-03-07T18:00:30",
    date_modified_gmt="2026-03-07T10:00:30",
    status="completed",
    refunds=[
        {"id": 802, "reason": "", "total": "-10.00"},
        {"id": 801, "reason": "", "total": "-101.70"},
    ],
)
TAKEN_BACK = order(id=728, status="cancelled", date_modified_gmt="2026-03-06T09:00:00")
CUSTOMER = {
    "id": 25,
    "date_created_gmt": "2026-03-01T01:00:00",
    "date_modified_gmt": "2026-03-05T12:10:00",
    "email": "jingyi@example.com",
    "first_name": "静怡",
    "last_name": "李",
    "role": "customer",
    "billing": {"phone": "13800138000"},
}


def body(document: object, topic: str | None = None) -> Body:
    return Body(json.dumps(document, ensure_ascii=False).encode(), topic)


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


def hydrated(*refunds: dict[str, Any], **changes: Any) -> Body:
    """An order as hydration leaves it."""
    return body(order(refund_details=list(refunds), **changes), "order.updated")


class TestWooCommerce(DialectConformance):
    connector = connector
    connection = Connection(
        connection_id="woo",
        config=WooCommerceConfig(
            base_url="https://shop.example",
            consumer_key="ck_example",
            consumer_secret="cs_example",
            product_kinds={"7": LineKind.STORED_VALUE_LOAD},
        ),
        secrets=("wc_new", "wc_old"),
        time_zone="Asia/Shanghai",
        currency="CNY",
    )
    pushed = (
        body(order(status="pending", date_paid=None, date_paid_gmt=None), "order.created"),
        body(order(), "order.updated"),
        body(LATER, "order.updated"),
        body(TAKEN_BACK, "order.updated"),
        body(CUSTOMER, "customer.updated"),
    )
    pulled = (body([TAKEN_BACK, LATER], "orders"), body([CUSTOMER], "customers"))
    expected = frozenset(
        {
            FactKey("sale", "727"),
            FactKey("refund", "801"),
            FactKey("refund", "802"),
            FactKey("sale", "728"),
            FactKey("void", "728"),
        }
    )
    broken = (
        (body(without(order(), "id"), "order.updated"), "id"),
        (body([order(), {"id": None}], "orders"), "[1].id"),
        (body(order(id="727/../../users"), "order.updated"), "id"),
        (body(order(id=0), "order.updated"), "id"),
        (body(["order"], "orders"), "[0]"),
        (body(without(order(), "total"), "order.updated"), "total"),
        (body(order(total="213.401"), "order.updated"), "total"),
        (body(order(total="999.00"), "order.updated"), "total"),
        (body(order(total="-1.00"), "order.updated"), "total"),
        (body(order(total_tax="0.00"), "order.updated"), "total_tax"),
        (body(order(currency="BTC"), "order.updated"), "currency"),
        (body(order(line_items=[item(1, "ten")]), "order.updated"), "line_items[0].total"),
        (body(order(line_items=[item(1, "-5.00")]), "order.updated"), "line_items[0].total"),
        (body(order(fee_lines=[line(1, "-500.00")]), "order.updated"), "fee_lines[0].total"),
        (body(order(date_paid_gmt="today"), "order.updated"), "date_paid_gmt"),
        (body(without(order(), "date_paid_gmt"), "order.updated"), "date_paid_gmt"),
        (hydrated(status="refunded"), "refunds"),
        (hydrated(refund(1, "-5.00")), "refund_details[0].amount"),
        (
            hydrated(refund(1, "5.00", item(1, "5.00"))),
            "refund_details[0].line_items[0].total",
        ),
        (
            body(
                CUSTOMER | {"date_created_gmt": None, "date_modified_gmt": None},
                "customer.created",
            ),
            "date_modified_gmt",
        ),
    )
    refused = (
        (
            body(order(date_paid=None, date_paid_gmt=None, status="on-hold"), "order.updated"),
            "the order is on-hold and not paid",
        ),
        (body(order(status="shipped"), "order.updated"), "status is shipped"),
        (body(order(status="trash"), "order.updated"), "status is trash"),
        (body(order(parent_id=700), "order.created"), "a part of order 700"),
        (body(without(order(), "line_items"), "order.updated"), "without its line_items"),
        (body({"id": 727}, "order.deleted"), "order.deleted"),
        (body({"id": 25}, "customer.deleted"), "customer.deleted"),
        (body({"id": 9}, "product.updated"), "product.updated"),
        (body({"action": "x", "arg": 1}, "action.woocommerce_add_to_cart"), "add_to_cart"),
        (body({"order": order()}, "order.updated"), "legacy API"),
        (body(GOODWILL), "a refund is read with its order"),
        (body({"code": "rest_no_route"}), "code is no order or customer"),
    )
    checked = "Orchid & Pine"

    @FUZZ
    @given(changed=mutant_bodies((*pushed, *pulled, hydrated(ONE_SHIRT, GOODWILL))))
    async def test_whatever_comes_is_read_calmly(self, changed: Body) -> None:
        await read_calmly(self, changed)

    def sign(self, body: Body, secret: str | None) -> Inbound:
        headers = {
            "content-type": "application/json",
            "x-wc-webhook-source": "https://shop.example/",
            "x-wc-webhook-topic": body.topic or "",
            "x-wc-webhook-id": "3",
            "x-wc-webhook-delivery-id": "36e520ebabc2fa725092ff4a47acedf2",
        }
        if secret is not None:
            headers["x-wc-webhook-signature"] = hmac_sha256_base64(secret, body.raw)
        return Inbound(body=body.raw, headers=headers, url="https://hub.example/hooks/woo")

    def upstream(self) -> CannedUpstream:
        window = "status=any&dates_are_gmt=true&modified_after={}&modified_before={}"
        pages = "&orderby=modified&order=asc&per_page=100&page=1"
        whole = window.format("2025-12-31T23%3A59%3A59", "2026-03-31T12%3A00%3A01") + pages
        people = "orderby=id&order=asc&per_page=100&page=1"
        return CannedUpstream(
            {
                ("GET", f"{API}/orders/727"): body(LATER).raw,
                ("GET", f"{API}/orders/727/refunds?per_page=100&page=1"): body(
                    [GOODWILL, ONE_SHIRT]
                ).raw,
                ("GET", f"{API}/orders?{whole}"): body([TAKEN_BACK, LATER]).raw,
                ("GET", f"{API}/customers?{people}"): body([CUSTOMER]).raw,
                ("GET", f"{API}/orders?per_page=1"): b"[]",
                ("GET", "/wp-json/"): b'{"name": "Orchid & Pine"}',
            }
        )

    async def sale(self, **changes: Any) -> CanonicalEvent:
        (found,) = await self.events(body(order(**changes), "order.updated"))
        return found

    def test_the_delivery_keeps_its_id_and_topic(self) -> None:
        delivery = connector.verify(self.sign(self.pushed[1], "wc_new"), self.connection, NOW)
        assert delivery.dedup_id == "36e520ebabc2fa725092ff4a47acedf2"
        assert delivery.topic == "order.updated"

    async def test_a_sale_with_tax_on_top(self) -> None:
        sale = await self.sale()
        shirts, courier = sale.lines
        assert (shirts.gross_minor, shirts.discount_minor, shirts.net_minor) == (20000, 2000, 18000)
        (tax,) = shirts.taxes
        assert (tax.code, tax.amount_minor, str(tax.rate)) == ("CN-VAT-1", 2340, "0.13")
        assert not tax.included
        assert (courier.kind, courier.net_minor) == (LineKind.SHIPPING, 1000)
        assert [(one.kind, one.amount_minor) for one in sale.tenders] == [(TenderKind.CARD, 21340)]
        assert sale.tenders[0].reference is None

    async def test_an_amount_that_was_never_set_is_nothing(self) -> None:
        free = line(41, "", total_tax="", method_title="Collected in the shop")
        sale = await self.sale(shipping_lines=[free], total="203.40", total_tax="23.40")
        assert [one.net_minor for one in sale.lines] == [18000, 0]

    async def test_a_shop_whose_prices_include_tax_shows_them_so(self) -> None:
        sale = await self.sale(prices_include_tax=True)
        shirts = sale.lines[0]
        assert (shirts.gross_minor, shirts.discount_minor, shirts.net_minor) == (22600, 2260, 18000)
        assert shirts.taxes[0].included

    async def test_the_day_is_the_shops_and_not_that_of_gmt(self) -> None:
        sale = await self.sale(date_paid_gmt="2026-03-05T17:00:00")
        assert str(sale.business_date) == "2026-03-06"
        assert sale.occurred_at.isoformat() == "2026-03-05T17:00:00+00:00"

    async def test_a_zone_that_was_added_on_the_way(self) -> None:
        sale = await self.sale(date_paid_gmt="2026-03-05T12:15:00Z")
        assert sale == await self.sale()

    async def test_several_rates_share_a_lines_tax(self) -> None:
        taxes = [{"id": 5, "total": "1.0049"}, {"id": 6, "total": "0.5024"}]
        shirt = item(31, "10.00", total_tax="1.51", taxes=taxes)
        sale = await self.sale(
            line_items=[shirt], shipping_lines=[], total="11.51", total_tax="1.51"
        )
        assert [(one.code, one.amount_minor) for one in sale.lines[0].taxes] == [
            ("CN-VAT-1", 101),
            ("tax", 50),
        ]

    async def test_tax_that_is_rounded_once_for_all_lines(self) -> None:
        lines = [item(n, "1.00", total_tax="0.13") for n in (31, 32, 33)]
        sale = await self.sale(line_items=lines, shipping_lines=[], total="3.38", total_tax="0.38")
        assert [one.taxes[0].amount_minor for one in sale.lines] == [12, 13, 13]
        assert sum(one.net_minor for one in sale.lines) == 300

    async def test_prices_finer_than_the_currency_leave_a_rounding_line(self) -> None:
        lines = [item(n, "1.0050") for n in (31, 32)]
        sale = await self.sale(line_items=lines, shipping_lines=[], total="2.01", total_tax="0")
        assert [(one.kind, one.net_minor) for one in sale.lines] == [
            (LineKind.ITEM, 101),
            (LineKind.ITEM, 101),
            (LineKind.ROUNDING, -1),
        ]

    @pytest.mark.parametrize(("currency", "minor"), [("JPY", 1200), ("KWD", 1200000)])
    async def test_currencies_without_and_with_three_decimals(
        self, currency: str, minor: int
    ) -> None:
        sale = await self.sale(
            currency=currency,
            line_items=[item(31, "1200.00")],
            shipping_lines=[],
            total="1200.00",
            total_tax="0.00",
        )
        assert sale.lines[0].net_minor == minor

    async def test_a_coupon_of_all_is_a_sale_of_nothing(self) -> None:
        sale = await self.sale(
            line_items=[item(31, "0.00", subtotal="50.00")],
            shipping_lines=[],
            total="0.00",
            total_tax="0.00",
            payment_method="",
        )
        assert sale.tenders == ()
        assert (sale.lines[0].discount_minor, sale.lines[0].net_minor) == (5000, 0)

    @pytest.mark.parametrize(
        ("less", "left"), [("10.00", [7200, 1800, 500]), ("102.00", [229, 57, 14])]
    )
    async def test_a_negative_fee_is_a_discount_of_the_goods(
        self, less: str, left: list[int]
    ) -> None:
        sale = await self.sale(
            line_items=[item(31, "80.00"), item(32, "20.00")],
            shipping_lines=[line(41, "5.00")],
            fee_lines=[line(61, f"-{less}", name="Friends")],
            total=f"{sum(left) / 100:.2f}",
            total_tax="0.00",
        )
        assert [one.net_minor for one in sale.lines] == left
        assert sale.lines[0].discount_minor == 8000 - left[0]

    async def test_a_negative_fee_takes_its_tax_with_it(self) -> None:
        sale = await self.sale(
            line_items=[item(31, "100.00", total_tax="13.00")],
            shipping_lines=[],
            fee_lines=[line(61, "-10.00", total_tax="-1.30")],
            total="101.70",
            total_tax="11.70",
        )
        assert (sale.lines[0].net_minor, sale.lines[0].taxes[0].amount_minor) == (9000, 1170)

    async def test_fees_are_what_the_shop_says_they_are(self) -> None:
        config = self.connection.config.model_copy(update={"fee_kinds": {"Tip": "gratuity"}})
        connection = Connection(
            connection_id="woo", config=config, secrets=(), time_zone="UTC", currency="CNY"
        )
        document = order(fee_lines=[line(61, "5.00", name="Tip"), line(62, "1.00")], total="219.40")
        (event,) = connector.decode(body(document, "order.updated").raw, "order.updated")
        (sale,) = connector.map(event, (), connection)
        assert [one.kind for one in sale.lines[2:]] == [LineKind.GRATUITY, LineKind.FEE]

    async def test_points_pay_by_a_negative_fee(self) -> None:
        points = line(
            61, "-13.40", name="Group points", meta_data=[{"key": "redemption", "value": "till-5"}]
        )
        sale = await self.sale(fee_lines=[points], total="200.00")
        assert sale.totals is not None
        assert sale.totals.total_minor == 21340
        assert [(one.kind, one.amount_minor, one.reference) for one in sale.tenders] == [
            (TenderKind.POINTS, 1340, "till-5"),
            (TenderKind.CARD, 20000, None),
        ]
        assert sale.lines[0].net_minor == 18000

    async def test_points_that_paid_come_back_with_the_refund_of_their_fee(self) -> None:
        meta = [{"key": "redemption", "value": "till-5"}]
        paid = line(61, "-13.40", name="Group points", meta_data=meta)
        back = line(
            71,
            "13.40",
            name="Group points",
            meta_data=[{"key": "_refunded_item_id", "value": "61"}],
        )
        document = hydrated(
            refund(801, "77.86", reversing(51, 31, "-80.75", "-10.51"), fee_lines=[back]),
            fee_lines=[paid],
            total="200.00",
        )
        _, found = await self.events(document)
        assert found.refund is not None
        assert (found.refund.amount_minor, found.refund.unallocated_minor) == (9126, 0)
        assert [(one.kind, one.amount_minor, one.reference) for one in found.tenders] == [
            (TenderKind.POINTS, 1340, "till-5"),
            (TenderKind.CARD, 7786, None),
        ]

    async def test_an_order_that_points_alone_paid(self) -> None:
        sale = await self.sale(payment_method="group_points", transaction_id="till-9")
        assert [(one.kind, one.reference) for one in sale.tenders] == [
            (TenderKind.POINTS, "till-9")
        ]

    async def test_gift_cards_pay_and_their_codes_go_nowhere(self) -> None:
        cards = [{"id": 4, "code": "ABCD-EFGH", "amount": 13.4}]
        sale = await self.sale(gift_cards=cards, total="200.00")
        assert [(one.kind, one.amount_minor) for one in sale.tenders] == [
            (TenderKind.GIFTCARD, 1340),
            (TenderKind.CARD, 20000),
        ]
        assert "ABCD" not in repr(sale)

    async def test_what_is_sold_but_is_no_goods(self) -> None:
        card = item(31, "50.00", meta_data=[{"key": "wc_gc_giftcard_amount", "value": "50"}])
        load = item(32, "20.00", product_id=7)
        sale = await self.sale(
            line_items=[card, load], shipping_lines=[], total="70.00", total_tax="0.00"
        )
        assert [one.kind for one in sale.lines] == [
            LineKind.GIFTCARD_SALE,
            LineKind.STORED_VALUE_LOAD,
        ]

    @pytest.mark.parametrize("meta", [[], {}, [[], {}], {"21": {"key": "x", "value": ["y"]}}, None])
    async def test_meta_data_in_all_its_forms(self, meta: object) -> None:
        odd = item(31, "70.00", meta_data=meta)
        sale = await self.sale(line_items=[odd], shipping_lines=[], total="70.00", total_tax="0")
        assert sale.lines[0].kind is LineKind.ITEM

    async def test_a_card_number_among_the_meta_data_goes_nowhere(self) -> None:
        assert "4111111111111111" not in repr(await self.sale())

    async def test_a_partial_refund_reverses_its_line(self) -> None:
        _, found = await self.events(hydrated(ONE_SHIRT))
        assert found.type is EventType.REFUND_RECORDED
        assert found.refund is not None
        assert found.refund.original == FactKey("sale", "727")
        assert (found.refund.amount_minor, found.refund.unallocated_minor) == (10170, 0)
        assert (found.lines[0].reverses, found.lines[0].net_minor) == ("31", 9000)
        assert found.lines[0].quantity == 1

    async def test_a_refund_of_less_than_its_lines_is_shared(self) -> None:
        less = refund(801, "50.85", reversing(51, 31, "-90.00", "-11.70"))
        _, found = await self.events(hydrated(less))
        assert found.lines[0].net_minor + found.lines[0].taxes[0].amount_minor == 5085

    async def test_shipping_alone_can_be_refunded(self) -> None:
        shipping = refund(801, "10.00", shipping_lines=[line(71, "-10.00")])
        _, found = await self.events(hydrated(shipping))
        assert [(one.kind, one.net_minor) for one in found.lines] == [(LineKind.SHIPPING, 1000)]

    async def test_all_that_was_refunded_is_asked_for(self) -> None:
        (event,) = connector.decode(body(order(status="refunded")).raw, None)
        assert event.snapshot is None
        (sale, back) = await self.events(hydrated(refund(801, "213.40"), status="refunded"))
        assert sale.totals is not None
        assert back.refund is not None
        assert back.refund.unallocated_minor == sale.totals.total_minor

    async def test_a_refund_of_nothing_is_none(self) -> None:
        (only,) = await self.events(hydrated(refund(801, "0.00")))
        assert only.type is EventType.SALE_COMPLETED

    async def test_an_order_taken_back_undoes_its_sale_once(self) -> None:
        sale, void = await self.events(body(TAKEN_BACK, "order.updated"))
        assert void.type is EventType.SALE_VOIDED
        assert void.entity_id == sale.entity_id
        assert await self.events(body(TAKEN_BACK, "order.updated"), {sale.fact: sale}) == [void]

    async def test_nothing_that_is_typed_at_checkout_is_proven(self) -> None:
        config = self.connection.config.model_copy(update={"verifies": frozenset({"phone"})})
        connection = Connection(
            connection_id="woo", config=config, secrets=(), time_zone="UTC", currency="CNY"
        )
        for document, proven in ((order(), False), (CUSTOMER, True)):
            (event,) = connector.decode(body(document).raw, None)
            (found,) = connector.map(event, (), connection)
            (party,) = found.parties
            assert party.external_id == "25"
            told = {hint.type: (hint.value, hint.verified) for hint in party.hints}
            assert told[HintType.PHONE] == ("13800138000", proven)
            assert told[HintType.EMAIL] == ("jingyi@example.com", False)
            assert told[HintType.NAME] == ("李静怡", False)

    async def test_a_guest_has_no_account(self) -> None:
        sale = await self.sale(customer_id=0)
        assert sale.parties[0].external_id is None
        assert (await self.sale(customer_id=0, billing=[])).parties == ()
