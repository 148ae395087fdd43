"""Square through the kit, and what only Square does: thin orders, external tenders, tips."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.conformance import NOW, SINCE, Body, CannedUpstream, DialectConformance
from connectors.dining.square import connector
from connectors.dining.square.config import SquareConfig
from hub.connector import (
    Connection,
    EventType,
    FactKey,
    HintType,
    Inbound,
    LineKind,
    Outlet,
    TenderKind,
    hmac_sha256_base64,
)
from hub.errors import Malformed
from tests.support.mutate import FUZZ, mutant_bodies, read_calmly

URL = "https://hub.example/hooks/table"


def money(amount: int, currency: str = "CNY") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


ITEM = {
    "uid": "noodles",
    "name": "Dan dan noodles",
    "quantity": "2",
    "item_type": "ITEM",
    "gross_sales_money": money(9000),
    "total_discount_money": money(1000),
    "total_tax_money": money(480),
    "total_money": money(8480),
    "applied_taxes": [{"uid": "a", "tax_uid": "vat", "applied_money": money(480)}],
}
CHARGE = {"uid": "svc", "name": "Service", "type": "CUSTOM", "total_money": money(800)}


def order(**changes: Any) -> dict[str, Any]:
    """80.00 of food after 10.00 off, 4.80 tax on top, 8.00 service, 5.00 tip: 97.80."""
    return {
        "id": "ORDER1",
        "location_id": "LOC1",
        "customer_id": "CUST1",
        "version": 3,
        "state": "COMPLETED",
        "created_at": "2026-03-05T12:15:00Z",
        "updated_at": "2026-03-05T14:15:00Z",
        "closed_at": "2026-03-05T18:30:00Z",
        "line_items": [ITEM],
        "taxes": [{"uid": "vat", "name": "VAT", "type": "ADDITIVE", "percentage": "6"}],
        "service_charges": [CHARGE],
        "total_money": money(9780),
        "total_tax_money": money(480),
        "total_tip_money": money(500),
        "tenders": [
            {
                "id": "PAY1",
                "payment_id": "PAY1",
                "type": "CARD",
                "amount_money": money(7780),
                "tip_money": money(500),
            },
            {"id": "PAY2", "payment_id": "PAY2", "type": "OTHER", "amount_money": money(2000)},
        ],
        **changes,
    }


def payment(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"PAY{number}",
        "status": "COMPLETED",
        "created_at": "2026-03-05T18:29:00Z",
        "updated_at": "2026-03-05T18:30:00Z",
        "location_id": "LOC1",
        "order_id": "ORDER1",
        "source_type": "CARD",
        "amount_money": money(7280),
        "total_money": money(7780),
        **changes,
    }


POINTS = payment(
    2,
    source_type="EXTERNAL",
    amount_money=money(2000),
    total_money=money(2000),
    external_details={"type": "OTHER", "source": "Group points", "source_id": "till-5"},
)
CUSTOMER = {
    "id": "CUST1",
    "version": 4,
    "updated_at": "2026-03-01T09:00:00Z",
    "given_name": "Jingyi",
    "family_name": "Li",
    "phone_number": "+86 138 0013 8000",
    "email_address": "jingyi@example.com",
    "birthday": "1990-05-17",
}


def refund(**changes: Any) -> dict[str, Any]:
    return {
        "id": "PAY1_R1",
        "status": "COMPLETED",
        "payment_id": "PAY1",
        "order_id": "REFUND-ORDER",
        "location_id": "LOC1",
        "created_at": "2026-03-06T10:00:00Z",
        "updated_at": "2026-03-06T10:01:00Z",
        "amount_money": money(3000),
        "destination_type": "CARD",
        **changes,
    }


def body(document: object) -> Body:
    return Body(json.dumps(document, ensure_ascii=False).encode())


def event(kind: str, inner: str, document: dict[str, Any]) -> Body:
    return body(
        {
            "merchant_id": "M1",
            "type": kind,
            "event_id": "e-1",
            "created_at": "2026-03-05T18:30:01Z",
            "data": {"type": inner, "id": "x", "object": {inner: document}},
        }
    )


def order_event(kind: str, **changes: Any) -> Body:
    thin = {"order_id": "ORDER1", "version": 3, "state": "COMPLETED", "location_id": "LOC1"}
    thin["updated_at"] = "2026-03-05T14:15:00Z"
    return event(f"order.{kind}", f"order_{kind}", {**thin, **changes})


def bill(**changes: Any) -> Body:
    """An order that needs no further call, so that what is wrong with it is found in it."""
    plain = order(customer_id=None, tenders=[order()["tenders"][0] | {"amount_money": money(9780)}])
    return body({"order": {**plain, **changes}})


def listed(stream: str, *, days: int, **more: str) -> str:
    """What is asked of a list: payments and refunds by when they were made, and some days more."""
    asked = {
        "begin_time": f"{SINCE - timedelta(days=days):%Y-%m-%dT%H:%M:%S}.000Z",
        "end_time": f"{NOW:%Y-%m-%dT%H:%M:%S}.000Z",
        "sort_order": "ASC",
        "limit": "100",
    }
    return f"/v2/{stream}?{urlencode(asked | more)}"


def searched(query: dict[str, Any]) -> bytes:
    """Answer a search in two pages, the first of which is empty, as Square's may be."""
    if "cursor" not in query:
        return body({"orders": [], "cursor": "second page"}).raw
    assert query["cursor"] == "second page"
    assert query["location_ids"] == ["LOC1"]
    return body({"orders": [order()]}).raw


class TestSquare(DialectConformance):
    connector = connector
    connection = Connection(
        connection_id="table",
        config=SquareConfig(
            base_url="https://square.example",
            access_token="EAAA-example",
            outlets={"LOC1": Outlet(time_zone="Asia/Shanghai", day_starts_at_hour=4)},
        ),
        secrets=("sq_new", "sq_old"),
        time_zone="Europe/Zurich",
        currency="CNY",
    )
    signs_url = True
    pushed = (
        order_event("created", state="OPEN", version=1),
        event("payment.created", "payment", payment(1, status="APPROVED")),
        event("payment.updated", "payment", payment(1)),
        event("payment.updated", "payment", POINTS),
        order_event("updated"),
        event("refund.created", "refund", refund(status="PENDING")),
        event("refund.updated", "refund", refund()),
        event("customer.updated", "customer", CUSTOMER),
    )
    pulled = (
        body({"orders": [order()], "cursor": "c"}),
        body({"payments": [payment(1), POINTS]}),
        body({"refunds": [refund()]}),
        body({"customer": CUSTOMER}),
    )
    expected = frozenset(
        {
            FactKey("sale", "ORDER1"),
            FactKey("payment_recorded", "PAY1"),
            FactKey("payment_recorded", "PAY2"),
            FactKey("refund", "PAY1_R1"),
        }
    )
    broken = (
        (event("payment.updated", "payment", {"status": "COMPLETED"}), "data.object.payment.id"),
        (order_event("updated", order_id=None), "data.object.order_updated.order_id"),
        (body({"type": "order.updated", "event_id": "e", "data": []}), "data"),
        (body({"type": "refund.updated", "event_id": "e", "data": {}}), "data.object"),
        (body({"refunds": [{}]}), "refunds[0].id"),
        (bill(total_money=money(1)), "order.total_money.amount"),
        (bill(total_money={"amount": 9780}), "order.total_money.currency"),
        (bill(total_tip_money=money(500, "USD")), "order.total_tip_money.currency"),
        (bill(line_items=[{**ITEM, "quantity": "two"}]), "order.line_items[0].quantity"),
        (bill(closed_at="closed_at"), "order.closed_at"),
        (body({"payment": payment(1, amount_money={"amount": "7"})}), "amount_money.amount"),
    )
    refused = (
        (order_event("updated", state="CANCELED"), "order is CANCELED"),
        (bill(state="OPEN"), "order is OPEN"),
        (bill(line_items=[], returns=[{}]), "sells nothing"),
        (body({"payment": payment(1, status="PENDING")}), "payment status is PENDING"),
        (body({"refund": refund(status="REJECTED")}), "refund status is REJECTED"),
        (body({"refund": refund(payment_id=None)}), "belongs to no payment"),
        (event("dispute.created", "dispute", {}), "dispute.created"),
        (body({"location": {"id": "LOC1"}}), "location is no order"),
        (body({"events": []}), "empty"),
    )
    checked = "Jing Noodle House"

    def sign(self, body: Body, secret: str | None) -> Inbound:
        headers = {"content-type": "application/json"}
        if secret is not None:
            signature = hmac_sha256_base64(secret, URL.encode() + body.raw)
            headers["x-square-hmacsha256-signature"] = signature
        return Inbound(body=body.raw, headers=headers, url=URL)

    def upstream(self) -> CannedUpstream:
        return CannedUpstream(
            {
                ("GET", "/v2/orders/ORDER1"): body({"order": order()}).raw,
                ("GET", "/v2/customers/CUST1"): body({"customer": CUSTOMER}).raw,
                ("GET", "/v2/payments/PAY2"): body({"payment": POINTS}).raw,
                ("GET", "/v2/locations"): body(
                    {"locations": [{"id": "LOC1", "name": "Jing Noodle House"}]}
                ).raw,
                ("POST", "/v2/orders/search"): searched,
                ("POST", "/v2/customers/search"): body({"customers": [CUSTOMER]}).raw,
                ("GET", listed("payments", days=7)): body(
                    {"payments": [payment(1)], "cursor": "next"}
                ).raw,
                ("GET", listed("payments", days=7, cursor="next")): body(
                    {"payments": [POINTS]}
                ).raw,
                ("GET", listed("refunds", days=14)): body({"refunds": [refund()]}).raw,
            }
        )

    @FUZZ
    @given(data=st.data())
    async def test_whatever_comes_is_malformed_or_refused(self, data: st.DataObject) -> None:
        stories = (*self.pushed, *self.pulled, bill())
        await read_calmly(self, data.draw(mutant_bodies(stories)))

    async def test_all_locations_are_searched_ten_at_a_time_with_one_query(self) -> None:
        upstream = self.upstream()
        many = [{"id": f"L{i}"} for i in range(23)]
        asked: list[dict[str, Any]] = []

        def search(query: dict[str, Any]) -> bytes:
            asked.append(query)
            first_page = len(query["location_ids"]) == 10 and "cursor" not in query
            return b'{"cursor": "more"}' if first_page else b"{}"

        upstream.answers = {
            ("GET", "/v2/locations"): body({"locations": many}).raw,
            ("POST", "/v2/orders/search"): search,
        }
        cursor, done = None, False
        while not done:
            page = await connector.pull(
                upstream, "orders", cursor, self.connection, since=SINCE, until=NOW
            )
            cursor, done = page.cursor, page.done
            assert page.body is None
        assert [(len(one["location_ids"]), one.get("cursor")) for one in asked] == [
            (10, None),
            (10, "more"),
            (10, None),
            (10, "more"),
            (3, None),
        ]
        assert {json.dumps(one["query"]) for one in asked} == {json.dumps(asked[0]["query"])}
        await connector.pull(
            upstream, "orders", cursor, self.connection, since=SINCE, until=NOW + timedelta(days=1)
        )
        again = asked[-1]["query"]["filter"]["date_time_filter"]["updated_at"]
        assert again == {
            "start_at": "2026-03-31T11:55:00.000Z",
            "end_at": "2026-04-01T12:00:00.000Z",
        }

    async def test_a_cursor_that_is_not_ours_is_refused(self) -> None:
        for cursor in ("opaque", "{}", "[]", "1"):
            with pytest.raises(Malformed) as caught:
                await connector.pull(
                    self.upstream(), "refunds", cursor, self.connection, since=SINCE, until=NOW
                )
            assert caught.value.field == "cursor"

    def test_the_delivery_is_known_by_its_event_id(self) -> None:
        delivery = connector.verify(self.sign(self.pushed[2], "sq_new"), self.connection, NOW)
        assert (delivery.dedup_id, delivery.topic) == ("e-1", "payment.updated")

    def test_behind_a_proxy_the_subscribed_url_is_what_counts(self) -> None:
        signed = self.sign(self.pushed[0], "sq_new")
        seen = Inbound(body=signed.body, headers=signed.headers, url="http://10.0.0.7:8000/hooks")
        subscribed = Connection(
            connection_id="table",
            config=SquareConfig(notification_url=URL),
            secrets=("sq_new",),
            time_zone="Asia/Shanghai",
            currency="CNY",
        )
        assert connector.verify(seen, subscribed, NOW).dedup_id == "e-1"

    async def test_a_bill_with_discount_tax_service_and_tip(self) -> None:
        (sale,) = await self.events(order_event("updated"))
        noodles, service = sale.lines
        assert (noodles.gross_minor, noodles.discount_minor, noodles.net_minor) == (
            9000,
            1000,
            8000,
        )
        assert (service.kind, service.net_minor) == (LineKind.SERVICE_CHARGE, 800)
        assert sale.totals is not None
        assert (sale.totals.tax_minor, sale.totals.tip_minor) == (480, 500)

    async def test_tenders_know_points_by_the_sellers_words_and_hold_no_tip(self) -> None:
        (sale,) = await self.events(order_event("updated"))
        assert [(one.kind, one.amount_minor, one.tip_minor) for one in sale.tenders] == [
            (TenderKind.CARD, 7280, 500),
            (TenderKind.POINTS, 2000, 0),
        ]
        assert [one.reference for one in sale.tenders] == [None, "till-5"]
        assert sale.references == (FactKey("payment", "PAY1"), FactKey("payment", "PAY2"))

    async def test_what_is_sold_after_midnight_belongs_to_the_evening(self) -> None:
        (sale,) = await self.events(order_event("updated"))  # 02:30 in Shanghai, opens at four
        assert str(sale.business_date) == "2026-03-05"

    async def test_tax_within_the_prices(self) -> None:
        inclusive = [{"uid": "vat", "name": "VAT", "type": "INCLUSIVE", "percentage": "6"}]
        document = bill(taxes=inclusive, total_money=money(9780))
        (sale,) = await self.events(document)
        assert (sale.lines[0].gross_minor, sale.lines[0].net_minor) == (9480, 8000)

    async def test_cash_rounding_is_a_line_of_its_own(self) -> None:
        document = bill(
            total_money=money(9800), rounding_adjustment={"uid": "r", "amount_money": money(20)}
        )
        (sale,) = await self.events(document)
        assert (sale.lines[-1].kind, sale.lines[-1].net_minor) == (LineKind.ROUNDING, 20)

    async def test_gratuity_and_gift_cards_are_labelled(self) -> None:
        gift = {**ITEM, "item_type": "GIFT_CARD"}
        gratuity = {**CHARGE, "type": "AUTO_GRATUITY"}
        (sale,) = await self.events(bill(line_items=[gift], service_charges=[gratuity]))
        assert [one.kind for one in sale.lines] == [LineKind.GIFTCARD_SALE, LineKind.GRATUITY]

    async def test_a_refund_knows_only_its_payment(self) -> None:
        (found,) = await self.events(event("refund.updated", "refund", refund()))
        assert found.refund is not None
        assert found.refund.original == FactKey("payment", "PAY1")
        assert found.refund.unallocated_minor == 3000

    async def test_points_paid_back_are_points(self) -> None:
        external = refund(
            destination_type="EXTERNAL",
            destination_details={"external_details": {"type": "OTHER", "source": "Group points"}},
        )
        (found,) = await self.events(body({"refund": external}))
        assert found.tenders[0].kind is TenderKind.POINTS

    @pytest.mark.parametrize("status", ["CANCELED", "FAILED"])
    async def test_a_payment_that_came_to_nothing_is_reversed(self, status: str) -> None:
        (found,) = await self.events(body({"payment": payment(1, status=status)}))
        assert found.type is EventType.PAYMENT_REVERSED
        assert found.fact == FactKey("payment_reversed", "PAY1")

    @pytest.mark.parametrize(
        ("details", "kind"),
        [
            ({"source_type": "CASH"}, TenderKind.CASH),
            ({"source_type": "SQUARE_ACCOUNT"}, TenderKind.HOUSE_ACCOUNT),
            (
                {"card_details": {"card": {"card_brand": "SQUARE_GIFT_CARD"}}},
                TenderKind.GIFTCARD,
            ),
            (
                {
                    "source_type": "EXTERNAL",
                    "external_details": {"type": "OTHER", "source": "Room charge"},
                },
                TenderKind.ROOM_CHARGE,
            ),
            (
                {"source_type": "EXTERNAL", "external_details": {"type": "FOOD_VOUCHER"}},
                TenderKind.VOUCHER,
            ),
        ],
    )
    async def test_kinds_of_money(self, details: dict[str, Any], kind: TenderKind) -> None:
        (found,) = await self.events(body({"payment": payment(1, **details)}))
        assert found.tenders[0].kind is kind

    async def test_a_customer_that_was_deleted_leaves_the_sale_its_id(self) -> None:
        upstream = CannedUpstream(
            {
                ("GET", "/v2/orders/ORDER1"): body({"order": order(tenders=[])}).raw,
            }
        )
        (thin,) = connector.decode(order_event("updated").raw, None)
        snapshot = await connector.hydrate(upstream, thin, self.connection)
        assert snapshot["customer"] is None
        assert upstream.asked[0][2]["Authorization"] == "Bearer EAAA-example"

    async def test_hints_are_verified_where_the_business_says_it_does(self) -> None:
        proving = Connection(
            connection_id="table",
            config=SquareConfig(verifies={HintType.PHONE}),
            secrets=(),
            time_zone="Asia/Shanghai",
            currency="CNY",
        )
        (source,) = connector.decode(body({"customer": CUSTOMER}).raw, None)
        (profile,) = connector.map(source, (), proving)
        hints = {hint.type: hint.verified for hint in profile.parties[0].hints}
        assert hints == {
            HintType.PHONE: True,
            HintType.EMAIL: False,
            HintType.NAME: False,
            HintType.BIRTHDAY: False,
        }
