"""有赞 Youzan through the kit, and what only Youzan does: URL-encoded content, yuan beside fen,
several messages of one refund, ciphertext where a phone was.
"""

import hashlib
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given

from connectors.conformance import NOW, Body, CannedUpstream, DialectConformance
from connectors.retail.youzan import connector
from connectors.retail.youzan.config import YouzanConfig
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    HintType,
    Inbound,
    LineKind,
    Outcome,
    SignatureInvalid,
    TenderKind,
)
from hub.errors import Malformed
from tests.support.mutate import FUZZ, mutant_bodies, mutants, read_calmly

TID = "E20260305201500000000001"
TOKEN = "?access_token=yz-token"
TRADE = ("POST", f"/api/youzan.trade.get/4.0.2{TOKEN}")
REFUND = ("POST", f"/api/youzan.trade.refund.get/3.0.1{TOKEN}")


def item(oid: str, payment: str, **more: Any) -> dict[str, Any]:
    return {
        "oid": oid,
        "item_type": 0,
        "num": 1,
        "title": "亚麻衬衫",
        "price": payment,
        "total_fee": payment,
        "payment": payment,
        "is_pre_sale": "null",
        **more,
    }


def trade(
    *,
    pay: dict[str, Any] | None = None,
    orders: list[dict[str, Any]] | None = None,
    buyer: dict[str, Any] | None = None,
    refunds: list[dict[str, Any]] | None = None,
    **info: Any,
) -> dict[str, Any]:
    """Two shirts at 100.00 with 20.00 off, and 10.00 of postage within their share."""
    return {
        "refund_order": refunds or [],
        "order_promotion": {"order_discount_fee": "20.00", "adjust_fee": "0.00"},
        "full_order_info": {
            "order_info": {
                "tid": TID,
                "status": "WAIT_SELLER_SEND_GOODS",
                "type": 0,
                "pay_type": 10,
                "created": "2026-03-05 20:14:00",
                "pay_time": "2026-03-05 20:15:00",
                "update_time": "2026-03-05 20:15:02",
                "refund_state": 0,
                "offline_id": None,
                "order_tags": {"is_payed": True},
                "order_extra": {"is_parent_order": None, "id_card_number": "11010519491231002X"},
                **info,
            },
            "pay_info": {
                "payment": "190.00",
                "real_payment": "190.00",
                "post_fee": "10.00",
                "total_fee": "200.00",
                "deduction_pay": 0,
                "outer_transactions": ["4200000000202603050000000001"],
                **(pay or {}),
            },
            "orders": orders or [item("2001", "190.00", num=2, price="100.00")],
            "buyer_info": {
                "yz_open_id": "yzOpenId0001",
                "buyer_id": 77,
                "buyer_phone": "13800138000",
                "outer_user_id": "oOpenId0000000000000000000001",
                "fans_nickname": "静",
                **(buyer or {}),
            },
            "source_info": {"source": {"platform": "wx"}},
            "address_info": {"receiver_name": "别人", "receiver_tel": "13900139000"},
        },
    }


def message(kind: str, content: object, **more: Any) -> Body:
    """A pushed message; its content is URL-encoded, or an object in the newer ones."""
    encoded = quote_plus(json.dumps(content))
    msg = content if kind.startswith("youzan_") else encoded
    told = {
        "client_id": "app-1",
        "kdt_id": 56232,
        "id": TID,
        "type": kind,
        "msg": msg,
        "msg_id": "6dc15f0b-8682-4812-b635-ab66e199f330",
        "version": 1772712902,
        "test": False,
        **more,
    }
    return Body(json.dumps(told).encode(), kind)


def refund(number: str, fee: str, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    fen = int(fee.replace(".", ""))
    return {
        "refund_id": number,
        "tid": TID,
        "status": "SUCCESS",
        "demand": 1,
        "refund_type": "BUYER_APPLY_REFUND",
        "refund_fee": fee,
        "refund_postage": "0.00",
        "oid": "2001",
        "created": "2026-03-06 09:00:00",
        "refund_success_time": f"2026-03-07 10:00:{number[-2:]}",
        "refund_order_item": list(items),
        "refund_fund_list": [{"refund_no": f"{number}9", "refund_fee": fen, "pay_way": 10}],
        **more,
    }


ONE = refund(
    "202603070000000000000001", "90.00", {"oid": "2001", "refund_fee": 9000, "item_num": 1}
)
REST = refund(
    "202603070000000000000002",
    "100.00",
    {"oid": "2001", "refund_fee": 10000, "item_num": 1},
    refund_postage="10.00",
)
LISTED = [
    {"refund_id": ONE["refund_id"], "refund_state": 60, "refund_fee": "90.00"},
    {"refund_id": REST["refund_id"], "refund_state": 60, "refund_fee": "100.00"},
    {"refund_id": "202603070000000000000003", "refund_state": 50, "refund_fee": "1.00"},
]
CLOSED = trade(
    status="TRADE_CLOSED",
    refund_state=12,
    update_time="2026-03-07 10:00:02",
    node_kdt_id=56232,
    refunds=LISTED,
)
CLOSE = {"tid": TID, "close_type": 2, "update_time": "2026-03-07 10:00:02"}
UNPAID = trade(status="WAIT_BUYER_PAY", pay_time="", pay={"real_payment": "0.00"})
CUSTOMER = {"yz_open_id": "yzOpenId0001", "mobile": "13800138000", "name": "李静怡"}


def stripped() -> dict[str, Any]:
    """An order as most messages have it: without what stored value and gift cards paid."""
    told = trade()
    del told["full_order_info"]["pay_info"]["deduction_pay"]
    return told


def answer(data: object) -> bytes:
    told = {"trace_id": "yz7", "code": 200, "success": True, "message": "successful", "data": data}
    return json.dumps(told).encode()


def page(*trades: dict[str, Any]) -> Body:
    rows = [{"full_order_info": one["full_order_info"]} for one in trades]
    return Body(answer({"full_order_info_list": rows, "total_results": len(rows)}), "orders")


def hydrated(*refunds: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An order as hydration leaves it."""
    return {**trade(**changes), "kdt_id": None, "refund_details": list(refunds)}


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


class TestYouzan(DialectConformance):
    connector = connector
    connection = Connection(
        connection_id="yz",
        config=YouzanConfig(
            base_url="https://open.example",
            access_token="yz-token",
            client_id="app-1",
            verifies=frozenset({HintType.PHONE}),
        ),
        secrets=("yz_new", "yz_old"),
        time_zone="Asia/Shanghai",
        currency="CNY",
    )
    pushed = (
        message("trade_TradeCreate", UNPAID),
        message("trade_TradePaid", trade(status="TRADE_PAID")),
        message("trade_TradeBuyerPay", stripped()),
        message("trade_TradeSuccess", {"tid": TID, "update_time": "2026-03-06 09:00:00"}),
        message("trade_refund_RefundSuccess", {"tid": TID, "refund_id": ONE["refund_id"]}),
        message("youzan_trade_RefundSuccess", {"tid": TID, "refund_id": REST["refund_id"]}),
        message("trade_TradeClose", CLOSE),
        message("SCRM_CUSTOMER_EVENT", CUSTOMER, version=1772712902123),
    )
    pulled = (
        page(CLOSED, UNPAID),
        Body(
            answer({"refunds": [{"tid": TID, "status": "SUCCESS"}, {"status": "CLOSED"}]}),
            "refunds",
        ),
        Body(answer({"record_list": [{**CUSTOMER, "created_at": 1772700000}]}), "customers"),
    )
    expected = frozenset(
        {
            FactKey("sale", TID),
            FactKey("refund", ONE["refund_id"]),
            FactKey("refund", REST["refund_id"]),
        }
    )
    broken = (
        (message("trade_TradePaid", trade(tid="")), "msg.full_order_info.order_info.tid"),
        (message("trade_TradePaid", {"full_order_info": []}), "msg.full_order_info.order_info"),
        (message("trade_TradePaid", [1]), "msg"),
        (message("trade_TradePaid", {}, msg="%7B%22"), "msg"),
        (message("trade_TradePaid", {}, msg="%ff"), "msg"),
        (message("trade_TradePaid", {}, msg=None), "msg"),
        (message("trade_TradeSuccess", {}, id=None), "msg.tid"),
        (message("x", {}, type=1), "type"),
        (
            message("trade_TradePaid", trade(pay={"payment": "ten"})),
            "full_order_info.pay_info.payment",
        ),
        (
            message("trade_TradePaid", trade(pay={"payment": "999.00"})),
            "full_order_info.pay_info.payment",
        ),
        (
            message("trade_TradePaid", trade(pay={"payment": "1.001"})),
            "full_order_info.pay_info.payment",
        ),
        (
            message("trade_TradePaid", trade(pay={"deduction_pay": 19001})),
            "full_order_info.pay_info.deduction_pay",
        ),
        (
            message("trade_TradePaid", trade(orders=[item("1", "-190.00")])),
            "full_order_info.orders[0].payment",
        ),
        (
            message("trade_TradePaid", trade(pay_time="yesterday")),
            "full_order_info.order_info.pay_time",
        ),
        (Body(answer({"full_order_info_list": [1]}), "orders"), "data.full_order_info_list[0]"),
        (Body(answer({"refunds": [1]}), "refunds"), "data.refunds[0]"),
        (Body(answer({"refunds": [{"status": "SUCCESS"}]}), "refunds"), "data.refunds[0].tid"),
        (Body(answer({"record_list": [1]}), "customers"), "data.record_list[0]"),
        (message("SCRM_CUSTOMER_EVENT", CUSTOMER, version=None), "version"),
    )
    refused = (
        (pushed[0], "WAIT_BUYER_PAY and not paid"),
        (message("trade_TradePaid", trade(), test=True), "a test message"),
        (message("trade_TradePaid", trade(status="WAIT_CONFIRM")), "the order is WAIT_CONFIRM"),
        (message("trade_TradePaid", trade(status="TRADE_PAID", type=10)), "once it is to be sent"),
        (message("trade_TradePaid", trade(pay_type=9)), "once it is over"),
        (message("trade_TradePaid", trade(pay_type=49)), "once it is over"),
        (message("trade_TradePaid", trade(type=7)), "several supply orders paid as one"),
        (
            message("trade_TradePaid", trade(order_extra={"is_parent_order": "1"})),
            "an order of orders",
        ),
        (
            message("trade_TradePaid", trade(order_tags={"is_purchase_order": True})),
            "a distributor's purchase",
        ),
        (message("trade_TradeClose", {"tid": TID, "close_type": 1}), "before it was paid"),
        (message("trade_TradeSellerShip", {"tid": TID}), "trade_TradeSellerShip says nothing"),
        (message("trade_refund_BuyerCreated", {"tid": TID}), "says nothing about sales"),
        (message("SCRM_CUSTOMER_EVENT", {"account_id": "77"}), "names no yz_open_id"),
        (message("SCRM_CUSTOMER_EVENT", {**CUSTOMER, "is_log_off": True}), "closed the account"),
        (Body(answer({"refunds": [{"status": "CLOSED"}]}), "refunds"), "has gone through"),
        (Body(answer({"record_list": [{"mobile": "1"}]}), "customers"), "has a yz_open_id"),
        (Body(answer({"items": []})), "items is no order"),
        (Body(b'{"gw_err_resp": {}}'), "gw_err_resp is no order"),
    )
    checked = "Orchid & Pine"

    @FUZZ
    @given(changed=mutant_bodies((*pushed, *pulled)))
    async def test_whatever_comes_is_read_calmly(self, changed: Body) -> None:
        await read_calmly(self, changed)

    @FUZZ
    @given(content=mutants([trade(), CLOSED, hydrated(ONE, REST, refund_state=12), UNPAID]))
    async def test_whatever_the_content_is_it_is_read_calmly(self, content: Any) -> None:
        await read_calmly(self, message("trade_TradeBuyerPay", content))
        await read_calmly(self, Body(json.dumps(content).encode()))

    def sign(self, body: Body, secret: str | None) -> Inbound:
        headers = {"event-type": body.topic or "", "client-id": "app-1"}
        if secret is not None:
            signed = b"app-1" + body.raw + secret.encode()
            headers["event-sign"] = hashlib.md5(signed).hexdigest()
        return Inbound(body=body.raw, headers=headers, url="https://hub.example/hooks/yz")

    def upstream(self, detail: object = None) -> CannedUpstream:
        told = {one["refund_id"]: one for one in (ONE, REST)}
        window = "/api/{}" + TOKEN
        return CannedUpstream(
            {
                TRADE: answer(detail or CLOSED),
                REFUND: lambda asked: answer(told.get(asked["refund_id"], {})),
                ("POST", f"/api/youzan.shop.get/3.0.0{TOKEN}"): answer({"name": "Orchid & Pine"}),
                ("POST", window.format("youzan.trades.sold.get/4.0.4")): lambda asked: (
                    page(CLOSED).raw
                    if asked["start_update"] <= "2026-03-07 10:00:02" <= asked["end_update"]
                    else page().raw
                ),
                ("POST", window.format("youzan.trade.refund.search/3.0.1")): answer(
                    {"refunds": [{"tid": TID, "status": "SUCCESS"}], "total": 1}
                ),
                ("POST", window.format("youzan.scrm.customer.list/1.0.0")): answer(
                    {"record_list": [], "total": 0}
                ),
            }
        )

    async def sale(self, **changes: Any) -> CanonicalEvent:
        (found,) = await self.events(message("trade_TradeBuyerPay", trade(**changes)))
        return found

    async def refunded(self, *refunds: dict[str, Any], **changes: Any) -> CanonicalEvent:
        snapshot = hydrated(*refunds, refund_state=2, **changes)
        event = connector.decode(self.pushed[3].raw, None)[0]
        found = connector.map(
            type(event)(type="x", entity="order", entity_id=TID, snapshot=snapshot),
            {FactKey("sale", TID)},
            self.connection,
        )
        (only,) = found
        return only

    def test_an_answer_says_success_only_where_the_message_was_kept(self) -> None:
        assert b"success" in connector.acknowledge(Outcome.ACCEPTED).body
        for outcome in (Outcome.SIGNATURE_INVALID, Outcome.UNAVAILABLE):
            assert b"success" not in connector.acknowledge(outcome).body

    def test_the_delivery_keeps_the_messages_id(self) -> None:
        delivery = connector.verify(self.sign(self.pushed[1], "yz_new"), self.connection, NOW)
        assert delivery.dedup_id == "6dc15f0b-8682-4812-b635-ab66e199f330"
        assert delivery.topic == "trade_TradePaid"

    def test_another_apps_signature_is_refused(self) -> None:
        body = self.pushed[1].raw
        signed = hashlib.md5(b"app-2" + body + b"yz_new").hexdigest()
        with pytest.raises(SignatureInvalid):
            self.verify(Inbound(body=body, headers={"event-sign": signed}, url="https://x"))

    async def test_a_sale_and_the_postage_within_its_share(self) -> None:
        sale = await self.sale()
        shirts, postage = sale.lines
        assert (shirts.gross_minor, shirts.discount_minor, shirts.net_minor) == (20000, 2000, 18000)
        assert (postage.kind, postage.net_minor) == (LineKind.SHIPPING, 1000)
        assert sale.occurred_at.isoformat() == "2026-03-05T20:15:00+08:00"
        assert [(one.kind, one.amount_minor) for one in sale.tenders] == [
            (TenderKind.WALLET, 19000)
        ]
        assert sale.outlet == "56232"

    async def test_postage_beside_the_shares(self) -> None:
        sale = await self.sale(orders=[item("2001", "180.00")])
        assert [one.net_minor for one in sale.lines] == [18000, 1000]

    async def test_the_outlet_of_a_shop_with_several(self) -> None:
        assert (await self.sale(offline_id=9)).outlet == "9"

    async def test_a_plus_is_a_space_unless_spaces_are_written_out(self) -> None:
        content = json.dumps(trade(tid="E+1"))
        for encoded in (quote(content), quote_plus(content)):
            (found,) = await self.events(message("trade_TradePaid", {}, msg=encoded))
            assert found.entity_id == "E+1"

    async def test_yuan_and_fen_of_one_bill(self) -> None:
        pay = {"deduction_pay": 15000, "deduct_gift_card_pay": 5000, "real_payment": "40.00"}
        sale = await self.sale(pay=pay)
        assert [(one.kind, one.amount_minor) for one in sale.tenders] == [
            (TenderKind.STORED_VALUE, 10000),
            (TenderKind.GIFTCARD, 5000),
            (TenderKind.WALLET, 4000),
        ]

    async def test_what_the_payment_channel_gave_is_a_voucher(self) -> None:
        sale = await self.sale(pay={"real_payment": "185.00"})
        assert [(one.kind, one.amount_minor) for one in sale.tenders] == [
            (TenderKind.VOUCHER, 500),
            (TenderKind.WALLET, 18500),
        ]

    @pytest.mark.parametrize("real", ["0.00", "190.00", "", None, "null"])
    async def test_what_real_payment_does_not_say(self, real: str | None) -> None:
        sale = await self.sale(pay={"real_payment": real})
        assert [one.kind for one in sale.tenders] == [TenderKind.WALLET]

    async def test_an_order_that_costs_nothing(self) -> None:
        free = {"payment": "0.00", "real_payment": "0.00", "post_fee": "0.00"}
        sale = await self.sale(pay=free, orders=[item("2001", "0.00", price="10.00")], pay_type=116)
        assert sale.tenders == ()
        assert sale.lines[0].discount_minor == 1000

    async def test_what_is_sold_but_is_no_goods(self) -> None:
        kinds = {21: LineKind.GIFTCARD_SALE, 207: LineKind.STORED_VALUE_LOAD, 20: LineKind.FEE}
        for number, kind in kinds.items():
            sale = await self.sale(orders=[item("2001", "190.00", item_type=number)])
            assert sale.lines[0].kind is kind
        assert (await self.sale(type=81)).lines[0].kind is LineKind.GIFTCARD_SALE

    async def test_duty_within_what_was_paid_is_tax(self) -> None:
        sale = await self.sale(orders=[item("2001", "190.00", tax_total="15.00")])
        assert sale.totals is not None
        assert (sale.totals.tax_minor, sale.totals.total_minor) == (1500, 19000)
        assert (sale.lines[0].net_minor, sale.lines[0].taxes[0].included) == (16500, True)

    async def test_points_that_paid_name_their_redemption(self) -> None:
        config = self.connection.config.model_copy(update={"points_pay_types": frozenset({203})})
        connection = Connection(
            connection_id="yz", config=config, secrets=(), time_zone="UTC", currency="CNY"
        )
        body = message(
            "trade_TradePaid", trade(pay_type=203, pay={"outer_transactions": ["till-5"]})
        )
        (event,) = connector.decode(body.raw, None)
        (sale,) = connector.map(event, (), connection)
        assert [(one.kind, one.reference) for one in sale.tenders] == [
            (TenderKind.POINTS, "till-5")
        ]

    async def test_a_refund_of_one_piece_reverses_its_line(self) -> None:
        found = await self.refunded(ONE)
        assert found.type is EventType.REFUND_RECORDED
        assert found.refund is not None
        assert (found.refund.amount_minor, found.refund.unallocated_minor) == (9000, 0)
        assert [(one.reverses, one.net_minor) for one in found.lines] == [("2001", 9000)]
        assert found.occurred_at.isoformat() == "2026-03-07T10:00:01+08:00"

    async def test_postage_that_was_refunded_is_no_goods(self) -> None:
        found = await self.refunded(REST)
        assert [(one.kind, one.net_minor) for one in found.lines] == [
            (LineKind.ITEM, 9000),
            (LineKind.SHIPPING, 1000),
        ]

    async def test_postage_alone_can_be_refunded(self) -> None:
        alone = refund("202603070000000000000004", "10.00", refund_postage="10.00", oid=None)
        found = await self.refunded(alone)
        assert [(one.kind, one.net_minor) for one in found.lines] == [(LineKind.SHIPPING, 1000)]

    async def test_items_worth_more_than_what_was_paid_back(self) -> None:
        less = refund("202603070000000000000004", "50.00", {"oid": "2001", "refund_fee": 9000})
        assert [one.net_minor for one in (await self.refunded(less)).lines] == [5000]

    async def test_a_refund_without_items_is_of_its_first(self) -> None:
        found = await self.refunded(refund("202603070000000000000004", "50.00"))
        assert [(one.reverses, one.net_minor) for one in found.lines] == [("2001", 5000)]

    async def test_the_ways_that_money_took_back(self) -> None:
        funds = [
            {"refund_no": "1", "refund_fee": 6000, "pay_way": 10},
            {"refund_no": "2", "refund_fee": 3000, "pay_way": 35},
        ]
        found = await self.refunded({**ONE, "refund_fund_list": funds})
        assert [(one.kind, one.amount_minor) for one in found.tenders] == [
            (TenderKind.WALLET, 6000),
            (TenderKind.STORED_VALUE, 3000),
        ]

    async def test_exchanges_and_refunds_under_way_move_no_money(self) -> None:
        for change in ({"demand": 3}, {"refund_type": "EXCHANGE_GOODS"}, {"status": "CLOSED"}):
            with pytest.raises(ValueError, match="not enough values"):
                await self.refunded({**ONE, **change})

    async def test_a_close_without_a_refund_is_not_guessed_at(self) -> None:
        for info in ({"refund_state": 12}, {"status": "TRADE_CLOSED"}):
            (thin,) = connector.decode(message("trade_TradeClose", trade(**info)).raw, None)
            assert thin.snapshot is None
            client = self.upstream(trade(**info))
            snapshot = await connector.hydrate(client, thin, self.connection)
            event = type(thin)(type="x", entity="order", entity_id=TID, snapshot=snapshot)
            with pytest.raises(Malformed) as caught:
                connector.map(event, (), self.connection)
            assert caught.value.field == "refund_order"

    async def test_ciphertext_and_masked_phones_are_left_out(self) -> None:
        for phone in ("$uhqbqg15Dn5slYolRHAzZw==$1$", "138****8000", "", None):
            (party,) = (await self.sale(buyer={"buyer_phone": phone})).parties
            assert party.external_id == "yzOpenId0001"
            assert [hint.type for hint in party.hints] == [HintType.OPENID]

    async def test_who_receives_is_not_who_bought(self) -> None:
        sale = await self.sale()
        told = {hint.type: (hint.value, hint.verified) for hint in sale.parties[0].hints}
        assert told == {
            HintType.PHONE: ("13800138000", True),
            HintType.OPENID: ("oOpenId0000000000000000000001", False),
        }
        assert "139001" not in repr(sale)
        assert "19491231" not in repr(sale)

    async def test_an_older_order_names_its_buyer_by_number(self) -> None:
        assert (await self.sale(buyer={"yz_open_id": None})).parties[0].external_id == "77"
        nobody = {"yz_open_id": "", "buyer_id": 0, "buyer_phone": "", "outer_user_id": ""}
        assert (await self.sale(buyer=nobody)).parties == ()

    @pytest.mark.parametrize("version", [1772712902, 1772712902123])
    async def test_a_version_in_seconds_or_milliseconds(self, version: int) -> None:
        body = message("SCRM_CUSTOMER_EVENT", CUSTOMER, version=version)
        (found,) = await self.events(body)
        assert found.source_version == version * (1 if version > 10**10 else 1000)
