"""Toast through the kit, and what only Toast does: checks of one order, late voids, doubles."""

import copy
import json
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.conformance import NOW, SINCE, Body, CannedUpstream, DialectConformance
from connectors.dining.toast import connector
from connectors.dining.toast.config import Loyalty, ToastConfig
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    HintType,
    Inbound,
    LineKind,
    Outlet,
    Refused,
    TenderKind,
    hmac_sha256_base64,
    parse_json,
)
from hub.errors import Malformed
from tests.conformance.toast_story import (
    AT,
    CARD,
    CHECK,
    FINAL,
    LATE,
    NEVER,
    NOODLES,
    OPEN,
    ORDER,
    POINTS,
    REFUNDED,
    REST,
    SECOND,
    SERVICE,
    STRIPPED,
    Windows,
    bill,
    body,
    check,
    order,
    second,
    selection,
    webhook,
)
from tests.support.mutate import FUZZ, mutant_bodies, read_calmly


class TestToast(DialectConformance):
    connector = connector
    connection = Connection(
        connection_id="table",
        config=ToastConfig(
            base_url="https://toast.example",
            client_id="client",
            client_secret="example",
            restaurants=(REST,),
            other_payments={"points-type": TenderKind.POINTS},
            outlets={REST: Outlet(time_zone="Asia/Shanghai", day_starts_at_hour=4)},
        ),
        secrets=("toast_new", "toast_old"),
        time_zone="Europe/Zurich",
        currency="CNY",
    )
    bills_are_settled = False  # what is voided after it was paid for was paid for
    pushed = (
        webhook(order(check(**OPEN), second(**OPEN))),
        webhook(order(check(customer=STRIPPED), second(**OPEN))),
        webhook(order(check(customer=STRIPPED), second())),
        webhook(order(check(customer=STRIPPED), LATE)),
        webhook(order({**REFUNDED, "customer": STRIPPED}, LATE)),
    )
    pulled = (body([FINAL], f"ordersBulk@{REST}"),)
    expected = frozenset(
        {
            FactKey("sale", CHECK),
            FactKey("sale", SECOND),
            FactKey("refund", "void:cake"),
            FactKey("refund", "refund-1"),
        }
    )
    broken = (
        (webhook(order(check()), eventType=None), "eventType"),
        (webhook([]), "details.order"),
        (webhook(order(check()), details={"order": {}}), "details.restaurantGuid"),
        (webhook(order(check(), guid=None)), "details.order.guid"),
        (webhook(order(check(), checks={})), "details.order.checks"),
        (webhook(order(check(guid=7))), "details.order.checks[0].guid"),
        (body([[]]), "orders[0]"),
        (bill(amount=87, totalAmount=91.8), "check.amount"),
        (bill(amount="NaN"), "check.amount"),
        (bill(taxAmount=1, totalAmount=89), "check.taxAmount"),
        (bill(totalAmount=100), "check.totalAmount"),
        (bill(totalAmount=92.805), "check.totalAmount"),
        (bill(payments=[CARD]), "check.payments"),
        (bill(payments=[{**CARD, "guid": None}]), "check.payments[0].guid"),
        (bill(selections=[{**NOODLES, "quantity": "two"}]), "check.selections[0].quantity"),
        (bill(selections=[{**NOODLES, "price": None}]), "check.amount"),
        (bill(closedDate="yesterday"), "check.closedDate"),
        (bill(paidDate=None, closedDate=NEVER), "check.paidDate"),
        (webhook(order(check(), businessDate=20261340)), "order.businessDate"),
        (webhook(order(check(), businessDate="2026-03-05")), "order.businessDate"),
        (
            bill(payments=[{**CARD, "amount": 92.8, "refund": {"refundAmount": 1}}]),
            "check.payments[0].refund.refundDate",
        ),
    )
    refused = (
        (bill(paymentStatus="PAID"), "check is PAID"),
        (webhook(order(check(), createdInTestMode=True)), "test order"),
        (webhook(order(check(), excessFood=True)), "excess food"),
        (bill(voided=True, payments=[]), "before it was paid"),
        (bill(deleted=True, payments=[]), "before it was paid"),
        (
            bill(selections=[], appliedServiceCharges=[], amount=0, taxAmount=0, totalAmount=0),
            "sells nothing",
        ),
        (
            webhook(order(check()), details={"restaurantGuid": "r", "order": order(check())}),
            "another",
        ),
        (webhook(order()), "no check"),
        (webhook(order(check()), eventType="menus_updated"), "menus_updated"),
        (body(order(check(), guid=None)), "no guid"),
        (body([]), "empty"),
        (body({"toastTransactionType": "LOYALTY_ACCRUE"}), "LOYALTY_ACCRUE"),
    )
    checked = "Jing Noodle House"

    def sign(self, body: Body, secret: str | None) -> Inbound:
        try:
            stated = json.loads(body.raw).get("timestamp", "")
        except ValueError:
            stated = ""
        headers = {"content-type": "application/json"}
        if secret is not None:
            headers["toast-signature"] = hmac_sha256_base64(secret, body.raw + stated.encode())
        return Inbound(body=body.raw, headers=headers, url="https://hub.example/hooks/table")

    def upstream(self) -> CannedUpstream:
        return CannedUpstream(
            Windows(
                {
                    ("POST", "/authentication/v1/authentication/login"): body(
                        {"token": {"tokenType": "Bearer", "accessToken": "token-1"}}
                    ).raw,
                    ("GET", f"/orders/v2/orders/{ORDER}"): body(FINAL).raw,
                    ("GET", f"/restaurants/v1/restaurants/{REST}"): body(
                        {"guid": REST, "general": {"name": "Jing Noodle House"}}
                    ).raw,
                }
            )
        )

    async def sold(self, document: Body) -> CanonicalEvent:
        [sale] = [
            one for one in await self.events(document) if one.type is EventType.SALE_COMPLETED
        ]
        return sale

    @FUZZ
    @given(data=st.data())
    async def test_whatever_comes_is_malformed_or_refused(self, data: st.DataObject) -> None:
        stories = (*self.pushed, *self.pulled, bill(customer=None), webhook(FINAL))
        await read_calmly(self, data.draw(mutant_bodies(stories)))

    def test_the_delivery_is_known_by_the_guid_of_its_envelope(self) -> None:
        delivery = connector.verify(self.sign(self.pushed[1], "toast_new"), self.connection, NOW)
        assert (delivery.dedup_id, delivery.topic) == ("event-1", "order_updated")
        assert delivery.triggered_at == datetime.fromisoformat("2026-03-05T18:31:01.050Z")

    async def test_a_bill_with_discount_tax_service_tip_and_points(self) -> None:
        sale = await self.sold(bill())
        noodles, service = sale.lines
        assert (noodles.gross_minor, noodles.discount_minor, noodles.net_minor) == (
            9000,
            1000,
            8000,
        )
        assert [(tax.code, tax.amount_minor) for tax in noodles.taxes] == [("VAT", 480)]
        assert (service.kind, service.net_minor) == (LineKind.SERVICE_CHARGE, 800)
        assert sale.totals is not None
        assert (sale.totals.net_minor, sale.totals.tax_minor, sale.totals.tip_minor) == (
            8800,
            480,
            500,
        )
        assert [(one.kind, one.amount_minor, one.tip_minor) for one in sale.tenders] == [
            (TenderKind.CARD, 7280, 500),
            (TenderKind.POINTS, 2000, 0),
        ]
        assert (str(sale.business_date), sale.outlet) == ("2026-03-05", REST)

    async def test_the_guest_of_a_webhook_is_asked_for(self) -> None:
        (thin, _) = connector.decode(self.pushed[1].raw, "order_updated")
        assert thin.snapshot is None
        sale = await self.sold(self.pushed[1])
        assert sale.parties[0].external_id == "guest-1"
        said = {hint.type: hint.value for hint in sale.parties[0].hints}
        assert said[HintType.PHONE] == "+86 138-0013-8000"
        assert said[HintType.NAME] == "Jingyi Li"

    async def test_a_check_that_has_left_its_order_is_refused(self) -> None:
        (thin, _) = connector.decode(self.pushed[1].raw, "order_updated")
        upstream = self.upstream()
        upstream.answers["GET", f"/orders/v2/orders/{ORDER}"] = body(order(second())).raw
        snapshot = await connector.hydrate(upstream, thin, self.connection)
        with pytest.raises(Refused, match="no longer in its order"):
            connector.map(replace(thin, snapshot=snapshot), (), self.connection)

    async def test_one_login_serves_until_it_is_refused(self) -> None:
        upstream, refusing = self.upstream(), [True]
        path = f"/restaurants/v1/restaurants/{REST}"
        logins = iter(("token-1", "token-2"))
        upstream.answers["POST", "/authentication/v1/authentication/login"] = lambda _: (
            body({"token": {"accessToken": next(logins)}}).raw
        )

        def answer(_: Any) -> bytes:
            if upstream.asked[-1][2]["Authorization"] == "Bearer token-1" and refusing:
                raise Malformed("GET answered 401", field=path, status=401)
            return b'{"general": {"name": "Jing"}}'

        upstream.answers["GET", path] = answer
        assert "Jing" in await connector.check(upstream, self.connection)
        refusing.clear()
        assert "Jing" in await connector.check(upstream, self.connection)
        assert sum(method == "POST" for method, *_ in upstream.asked) == 2

    async def test_without_credentials_nothing_is_asked(self) -> None:
        (thin, _) = connector.decode(self.pushed[1].raw, "order_updated")
        bare = Connection(
            connection_id="t", config=ToastConfig(), secrets=(), time_zone="UTC", currency="CNY"
        )
        with pytest.raises(Malformed) as caught:
            await connector.hydrate(self.upstream(), thin, bare)
        assert caught.value.field == "config.client_secret"

    async def test_a_full_window_is_halved_and_no_page_is_ever_turned(self) -> None:
        upstream, asked = self.upstream(), list[tuple[datetime, datetime, int]]()
        busy = datetime.fromisoformat("2026-03-05T18:00:00Z")
        moments = [busy + timedelta(seconds=10 * i) for i in range(250)]

        class Crowd(Windows):
            def get(self, key: Any, default: Any = None) -> Any:
                if "ordersBulk" not in key[1]:
                    return super().get(key, default)
                query = parse_qs(urlsplit(key[1]).query)
                start, end = (datetime.fromisoformat(query[n][0]) for n in ("startDate", "endDate"))
                there = sum(start <= at < end for at in moments)
                asked.append((start, end, there))
                return json.dumps([{}] * min(there, 100)).encode()

        upstream.answers = Crowd(upstream.answers)
        cursor, done, until = None, False, busy + timedelta(hours=3)
        while not done:
            page = await connector.pull(
                upstream, "orders", cursor, self.connection, since=busy, until=until
            )
            cursor, done = page.cursor, page.done
        whole = [(start, end) for start, end, there in asked if there < 100]
        assert (whole[0][0], whole[-1][1]) == (busy, until)
        assert all(one[1] == following[0] for one, following in pairwise(whole))
        again = await connector.pull(
            upstream, "orders", cursor, self.connection, since=SINCE, until=until
        )
        assert again.done
        assert asked[-1][0] == until - timedelta(minutes=1)

    async def test_each_restaurant_is_asked_in_its_turn(self) -> None:
        upstream = self.upstream()
        config = self.connection.config.model_copy(update={"restaurants": ("rest-0", REST)})
        two = Connection(
            connection_id="t", config=config, secrets=(), time_zone="UTC", currency="CNY"
        )
        cursor, topics = None, []
        while True:
            page = await connector.pull(
                upstream, "orders", cursor, two, since=NOW - timedelta(hours=9), until=NOW
            )
            cursor = page.cursor
            topics.append(page.topic)
            if page.done:
                break
        assert topics == ["ordersBulk@rest-0"] * 2 + [f"ordersBulk@{REST}"] * 2
        sent = [
            headers["Toast-Restaurant-External-ID"]
            for m, _, headers, _ in upstream.asked
            if m == "GET"
        ]
        assert sent == ["rest-0", "rest-0", REST, REST]

    async def test_a_loyalty_account_on_the_check_is_who_paid(self) -> None:
        info = {"loyaltyIdentifier": "no-1", "vendor": "INTEGRATION"}
        config = self.connection.config.model_copy(update={"loyalty": Loyalty(api_keys=("k",))})
        provider = Connection(
            connection_id="t", config=config, secrets=(), time_zone="UTC", currency="CNY"
        )
        document = bill(customer=STRIPPED, appliedLoyaltyInfo=info)
        [source] = connector.decode(document.raw, None)
        sale = connector.map(source, (), provider)[0]
        [party] = sale.parties
        assert party.external_id is None
        assert [(one.type, one.value, one.verified) for one in party.hints] == [
            (HintType.LOYALTY_ID, "no-1", True)
        ]
        # Another provider's numbers are nobody's here.
        assert connector.map(source, (), self.connection)[0].parties[0].external_id == "guest-1"

    async def test_a_void_undoes_a_check_that_was_paid(self) -> None:
        late = AT.format(50)
        (found,) = await self.events(bill(voided=True, voidDate=late, voidBusinessDate=20260305))
        assert (found.type, found.fact) == (EventType.SALE_VOIDED, FactKey("void", CHECK))
        assert found.entity_id == CHECK
        (merged,) = await self.events(bill(deleted=True, deletedDate=late))
        assert merged.fact == FactKey("void", CHECK)

    async def test_what_is_voided_before_it_is_paid_for_was_never_sold(self) -> None:
        cake = selection("cake", 20, voided=True, voidDate=AT.format(10))
        sale = await self.sold(bill(selections=[NOODLES, cake]))
        assert [line.id for line in sale.lines] == ["noodles", "svc"]

    async def test_what_is_voided_after_it_was_paid_for_is_taken_back(self) -> None:
        sale, void = await self.events(webhook(order(LATE)))
        assert [line.net_minor for line in sale.lines] == [3000, 2000]
        assert void.refund is not None
        assert (void.refund.amount_minor, void.lines[0].reverses) == (2000, "cake")

    async def test_a_refund_says_which_item_and_how_much_of_the_tip(self) -> None:
        refund = (await self.events(webhook(order(REFUNDED))))[-1]
        assert refund.refund is not None
        assert (refund.refund.amount_minor, refund.refund.unallocated_minor) == (4340, 0)
        assert [(one.kind, one.reverses, one.net_minor) for one in refund.lines] == [
            (LineKind.ITEM, "noodles", 4000),
            (LineKind.GRATUITY, None, 100),
        ]
        assert str(refund.business_date) == "2026-03-05"

    async def test_a_refund_that_names_no_items_is_spread_over_the_check(self) -> None:
        document = copy.deepcopy(REFUNDED)
        document["selections"] = [NOODLES]
        document["payments"][0]["refund"]["refundTransaction"] = None
        refund = (await self.events(webhook(order(document))))[-1]
        assert refund.refund is not None
        assert refund.refund.unallocated_minor == 4240
        assert refund.fact.id == "pay-1@1772766000000"

    async def test_items_worth_more_than_was_given_back_are_cut_to_it(self) -> None:
        document = copy.deepcopy(REFUNDED)
        document["payments"][0]["refund"] |= {"refundAmount": 21.2, "tipRefundAmount": 0}
        refund = (await self.events(webhook(order(document))))[-1]
        assert refund.refund is not None
        assert (refund.refund.amount_minor, refund.lines[0].net_minor) == (2120, 2000)

    async def test_tax_within_the_prices(self) -> None:
        sale = await self.sold(bill(selections=[{**NOODLES, "taxInclusion": "INCLUDED"}]))
        noodles = sale.lines[0]
        assert (noodles.gross_minor, noodles.net_minor, noodles.taxes[0].included) == (
            9480,
            8000,
            True,
        )

    @pytest.mark.parametrize(
        ("currency", "price", "tax", "minor"),
        [("JPY", 1234, 99, 1234), ("KWD", 1.234, 0.099, 1234)],
    )
    def test_currencies_have_their_own_decimals(
        self, currency: str, price: float, tax: float, minor: int
    ) -> None:
        document = order(
            check(
                selections=[selection("dish", price, tax=tax)],
                appliedServiceCharges=[],
                amount=price,
                taxAmount=tax,
                totalAmount=round(price + tax, 3),
                payments=[{**CARD, "amount": round(price + tax, 3), "tipAmount": 0}],
            )
        )
        [source] = connector.decode(body(document).raw, None)
        [sale] = connector.map(source, (), replace(self.connection, currency=currency))
        assert sale.totals is not None
        assert (sale.lines[0].net_minor, sale.totals.total_minor) == (minor, minor + 99)

    async def test_fractions_of_a_cent_add_up_to_what_is_charged(self) -> None:
        thirds = [
            selection(f"third-{i}", 3.333333333333333, tax=0.2916666666, appliedTaxes=[])
            for i in range(3)
        ]
        sale = await self.sold(
            bill(
                selections=thirds,
                appliedServiceCharges=[],
                amount=10.000000000000002,
                taxAmount=0.88,
                totalAmount=10.88,
                payments=[{**CARD, "amount": 10.88}],
            )
        )
        assert [line.net_minor for line in sale.lines] == [333, 334, 333]
        assert sum(line.taxes[0].amount_minor for line in sale.lines) == 88

    @pytest.mark.parametrize(
        ("changes", "kind"),
        [
            ({"deferred": True}, LineKind.GIFTCARD_SALE),
            ({"selectionType": "TOAST_CARD_SELL", "deferred": True}, LineKind.GIFTCARD_SALE),
            ({"selectionType": "TOAST_CARD_RELOAD"}, LineKind.STORED_VALUE_LOAD),
            ({"selectionType": "HOUSE_ACCOUNT_PAY_BALANCE"}, LineKind.DEPOSIT),
            ({"selectionType": "OPEN_ITEM"}, LineKind.ITEM),
        ],
    )
    async def test_kinds_of_items(self, changes: dict[str, Any], kind: LineKind) -> None:
        sale = await self.sold(bill(selections=[{**NOODLES, **changes}]))
        assert sale.lines[0].kind is kind

    @pytest.mark.parametrize(
        ("changes", "kind"),
        [
            ({"delivery": True}, LineKind.SHIPPING),
            ({"serviceChargeCategory": "FUNDRAISING_CAMPAIGN"}, LineKind.DEPOSIT),
            ({"serviceChargeCategory": "CREDIT_CARD_SURCHARGE"}, LineKind.FEE),
        ],
    )
    async def test_kinds_of_charges(self, changes: dict[str, Any], kind: LineKind) -> None:
        sale = await self.sold(bill(appliedServiceCharges=[{**SERVICE, **changes}]))
        assert sale.lines[1].kind is kind

    async def test_a_gratuity_is_in_the_tips_or_in_the_total_and_never_in_both(self) -> None:
        gratuity = {**SERVICE, "guid": "auto", "gratuity": True, "chargeAmount": 5}
        apart = await self.sold(bill(appliedServiceCharges=[SERVICE, gratuity]))
        assert [line.id for line in apart.lines] == ["noodles", "svc"]
        paid = [{**CARD, "amount": 77.8, "tipAmount": 0}, POINTS]
        within = await self.sold(
            bill(appliedServiceCharges=[SERVICE, gratuity], totalAmount=97.8, payments=paid)
        )
        assert (within.lines[2].kind, within.lines[2].net_minor) == (LineKind.GRATUITY, 500)

    @pytest.mark.parametrize(
        ("changes", "kind"),
        [
            ({"type": "CASH"}, TenderKind.CASH),
            ({"type": "GIFTCARD"}, TenderKind.GIFTCARD),
            ({"type": "HOUSE_ACCOUNT"}, TenderKind.HOUSE_ACCOUNT),
            ({"type": "OTHER", "otherPayment": {"guid": "points-type"}}, TenderKind.POINTS),
            ({"type": "OTHER", "otherPayment": {"guid": "coupons"}}, TenderKind.OTHER),
            ({"type": "UNDETERMINED"}, TenderKind.OTHER),
        ],
    )
    async def test_kinds_of_money(self, changes: dict[str, Any], kind: TenderKind) -> None:
        sale = await self.sold(bill(payments=[{**CARD, "amount": 92.8, **changes}]))
        assert sale.tenders[0].kind is kind

    async def test_taxes_of_modifiers_count_where_only_they_make_up_the_tax(self) -> None:
        cheese = {"price": 3, "tax": 0.3, "modifiers": [{"tax": 0.1}, {"tax": 9, "voided": True}]}
        with_cheese = {**NOODLES, "tax": 4.4, "modifiers": [cheese], "appliedTaxes": []}
        sale = await self.sold(bill(selections=[with_cheese]))
        assert (sale.lines[0].net_minor, sale.lines[0].taxes[0].amount_minor) == (8000, 480)
        plain = await self.sold(bill(selections=[{**NOODLES, "modifiers": [cheese]}]))
        assert plain.lines[0].taxes[0].amount_minor == 480

    @pytest.mark.parametrize(
        "nothing",
        [
            {"paymentStatus": "VOIDED"},
            {"paymentStatus": "DENIED"},
            {"paymentStatus": "OPEN"},
            {"type": "CASH", "voidInfo": {"voidDate": AT.format(20)}},
        ],
    )
    async def test_a_payment_that_came_to_nothing_paid_nothing(
        self, nothing: dict[str, Any]
    ) -> None:
        void = {**CARD, "guid": "pay-0", **nothing}
        sale = await self.sold(bill(payments=[void, CARD, POINTS]))
        assert [one.id for one in sale.tenders] == ["pay-1", "pay-2"]

    async def test_what_is_paid_in_cash_is_paid_whatever_its_status(self) -> None:
        cash = {**CARD, "type": "CASH", "amount": 92.8, "paymentStatus": "OPEN", "voidInfo": {}}
        sale = await self.sold(bill(payments=[cash]))
        assert sale.tenders[0].kind is TenderKind.CASH

    async def test_all_is_discounted_and_nothing_is_paid(self) -> None:
        free = {**NOODLES, "price": 0, "tax": 0, "appliedTaxes": []}
        sale = await self.sold(
            bill(
                selections=[free],
                appliedServiceCharges=[],
                amount=0,
                taxAmount=0,
                totalAmount=0,
                payments=[],
            )
        )
        assert (sale.lines[0].discount_minor, sale.lines[0].net_minor) == (9000, 0)


def test_amounts_of_an_api_answer_are_exact() -> None:
    [source] = connector.decode(body(order(check(amount=0.1))).raw, None)
    assert source.snapshot is not None
    assert str(parse_json(b"0.1")) == str(source.snapshot["check"]["amount"])
