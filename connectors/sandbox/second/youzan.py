"""The second world as 有赞 has it: URL-encoded messages, yuan beside fen, several messages of one
refund, and lists that leave out how an order was paid.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sandbox.people import Person
from connectors.sandbox.second.accounts import YOUZAN_TOKEN
from connectors.sandbox.second.plot import GivenBack, Sale
from connectors.sandbox.second.teller import Teller
from connectors.sandbox.signing import YOUZAN_CLIENT
from connectors.sandbox.stage import ZONE
from connectors.sandbox.writing import text

_KDT = 56_232
_ALL_BACK, _SOME_BACK = 12, 2


class Youzan(Teller):
    """A shop. A message of a paid order has no `deduction_pay`, now and then it has."""

    system = "youzan"

    def tell(self) -> None:
        """Send what Youzan sends of an order: placed, paid, over, refunded twice told, closed."""
        self.orders = {_tid(sale): sale for sale in self.plot.sales}
        self.known: dict[int, tuple[Person, datetime]] = {}
        self.refunds = {
            _refund_id(back): (sale, back) for sale in self.plot.sales for back in sale.given_back
        }
        for sale in self.plot.sales:
            tid = _tid(sale)
            self._meet(sale)
            self.expected.update(sale=1, refund=len(sale.given_back))
            paid = self._trade(sale, sale.at)
            if sale.noticed:
                del paid["full_order_info"]["pay_info"]["deduction_pay"]
            self._message(sale.at, "trade_TradePaid", tid, paid)
            for back in sale.given_back:
                told = {"tid": tid, "refund_id": _refund_id(back), "update_time": _local(back.at)}
                self._message(back.at, "trade_refund_RefundSuccess", tid, told)
                self._message(back.at, "youzan_trade_RefundSuccess", tid, told)
            last = max([sale.at, *(back.at for back in sale.given_back)])
            if sale.is_gone:
                closed = {"tid": tid, "close_type": 2, "update_time": _local(last)}
                self._message(last, "trade_TradeClose", tid, closed)
            self.changed[tid] = last

    def _meet(self, sale: Sale) -> None:
        person = sale.person
        if person is not None and person.number not in self.known:
            self.known[person.number] = (person, sale.at)
            said = {"yz_open_id": self._open_id(person), "mobile": person.phone}
            version = int(sale.at.timestamp() * 1000)
            told = {**said, "name": person.family + person.given}
            self._message(sale.at, "SCRM_CUSTOMER_EVENT", "", told, version=version)

    def _message(self, at: datetime, kind: str, tid: str, content: object, **more: Any) -> None:
        """Newer types have their content as it is, the older ones URL-encoded."""
        encoded = quote_plus(json.dumps(content, ensure_ascii=False))
        message = {
            "client_id": YOUZAN_CLIENT,
            "kdt_id": _KDT,
            "id": tid,
            "type": kind,
            "msg": content if kind.startswith("youzan_") else encoded,
            "msg_id": self.id("message", len(self.deliveries)),
            "version": int(at.timestamp()),
            "test": False,
            **more,
        }
        self.send(at, json.dumps(message, ensure_ascii=False).encode(), kind)

    def _open_id(self, person: Person) -> str:
        return f"yz-{self.id('person', person.number)[:18]}"

    def _trade(self, sale: Sale, at: datetime) -> dict[str, Any]:
        """Write an order's detail as it was at `at`."""
        back = [one for one in sale.given_back if one.at <= at]
        gone = sum(len(one.items) for one in back) == len(sale.items)
        info = {
            "tid": _tid(sale),
            "status": "TRADE_CLOSED" if gone else "WAIT_SELLER_SEND_GOODS",
            "type": 0,
            "pay_type": 10,
            "created": _local(sale.at),
            "pay_time": _local(sale.at),
            "update_time": _local(at),
            "refund_state": _ALL_BACK if gone else _SOME_BACK if back else 0,
            "offline_id": None,
            "node_kdt_id": _KDT,
            "order_tags": {"is_payed": True},
            "order_extra": {"is_parent_order": None},
        }
        return {
            "refund_order": [
                {
                    "refund_id": _refund_id(one),
                    "refund_state": 60,
                    "refund_fee": text(sale.worth(one)),
                }
                for one in back
            ],
            "full_order_info": {
                "order_info": info,
                "pay_info": {
                    "payment": text(sale.minor),
                    "real_payment": text(sale.minor),
                    "post_fee": "0.00",
                    "total_fee": text(sale.minor),
                    "deduction_pay": 0,
                    "outer_transactions": [self.id("payment", sale.number)],
                },
                "orders": [
                    {
                        "oid": f"{sale.number}-{i}",
                        "item_type": 0,
                        "num": 1,
                        "title": item.name,
                        "price": text(item.minor),
                        "total_fee": text(item.minor),
                        "payment": text(item.minor),
                    }
                    for i, item in enumerate(sale.items)
                ],
                "buyer_info": self._buyer(sale.person),
                "source_info": {"source": {"platform": "wx"}},
            },
        }

    def _buyer(self, person: Person | None) -> dict[str, Any]:
        if person is None:
            return {"yz_open_id": None, "buyer_id": 0, "buyer_phone": ""}
        return {"yz_open_id": self._open_id(person), "buyer_phone": person.phone}

    def _refund(self, sale: Sale, back: GivenBack) -> dict[str, Any]:
        worth = sale.worth(back)
        number = _refund_id(back)
        return {
            "refund_id": number,
            "tid": _tid(sale),
            "status": "SUCCESS",
            "demand": 1,
            "refund_type": "BUYER_APPLY_REFUND",
            "refund_fee": text(worth),
            "refund_postage": "0.00",
            "refund_success_time": _local(back.at),
            "refund_order_item": [
                {"oid": f"{sale.number}-{i}", "refund_fee": sale.items[i].minor, "item_num": 1}
                for i in back.items
            ],
            "refund_fund_list": [{"refund_no": f"{number}-1", "refund_fee": worth, "pay_way": 10}],
        }

    def routes(self) -> Sequence[Route]:
        """Return the open API: every operation is a POST."""
        return (Route("/api/youzan.{operation:path}", self.answer, methods=["POST"]),)

    async def answer(self, request: Request) -> Response:
        """Answer an operation: data, or a gateway's refusal with status 200."""
        if request.query_params.get("access_token") != YOUZAN_TOKEN:
            refusal = {"err_code": 4203, "err_msg": "the token is not valid"}
            return JSONResponse({"gw_err_resp": refusal})
        asked = json.loads(await request.body() or b"{}")
        operation = request.path_params["operation"]
        found = self._found(operation, asked)
        if found is None:
            return JSONResponse({"success": False, "code": 5000, "message": "trade not found"})
        answer = {"success": True, "code": 200, "message": "successful", "data": found}
        return JSONResponse({"trace_id": self.id(operation), **answer})

    def _found(self, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        match operation:
            case "shop.get/3.0.0":
                return {"name": "港湾好物"}
            case "trade.get/4.0.2":
                sale = self.orders.get(asked["tid"])
                return self._trade(sale, self.changed[asked["tid"]]) if sale else None
            case "trade.refund.get/3.0.1":
                known = self.refunds.get(asked["refund_id"])
                return self._refund(*known) if known else None
        return self._listed(operation, asked)

    def _listed(self, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        match operation:
            case "trades.sold.get/4.0.4":
                return self._sold(asked)
            case "trade.refund.search/3.0.1":
                start, end = asked["update_time_start"], asked["update_time_end"]
                refunds = [
                    self._refund(sale, back)
                    for sale, back in self.refunds.values()
                    if start <= back.at.timestamp() <= end
                ]
                return _page("refunds", "total", refunds, asked)
            case "scrm.customer.list/1.0.0":
                start, end = asked["created_at_start"], asked["created_at_end"]
                records = [
                    self._record(person, since)
                    for person, since in self.known.values()
                    if start <= since.timestamp() * 1000 <= end
                ]
                return _page("record_list", "total", records, asked)
        return None

    def _sold(self, asked: dict[str, Any]) -> dict[str, Any]:
        """List orders by their last change, the newest first, without how they were paid."""
        changes = sorted(((at, tid) for tid, at in self.changed.items()), reverse=True)
        rows = []
        for at, tid in changes:
            if asked["start_update"] <= _local(at) <= asked["end_update"]:
                row = {"full_order_info": self._trade(self.orders[tid], at)["full_order_info"]}
                del row["full_order_info"]["pay_info"]["deduction_pay"]
                rows.append(row)
        return _page("full_order_info_list", "total_results", rows, asked)

    def _record(self, person: Person, since: datetime) -> dict[str, Any]:
        return {
            "yz_open_id": self._open_id(person),
            "mobile": person.phone,
            "show_name": person.family + person.given,
            "created_at": int(since.timestamp()),
        }


def _page(key: str, total: str, rows: list[Any], asked: dict[str, Any]) -> dict[str, Any]:
    size = asked["page_size"]
    start = (asked["page_no"] - 1) * size
    return {key: rows[start : start + size], total: len(rows)}


def _tid(sale: Sale) -> str:
    return f"E{sale.number}"


def _refund_id(back: GivenBack) -> str:
    return f"R{back.number}"


def _local(instant: datetime) -> str:
    return instant.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")
