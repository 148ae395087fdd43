"""What a body is about: a pushed message, its bare content, or a page of the open API.

A message's type is read from its body, which is signed; the `Event-Type` header is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote, unquote_plus
from zoneinfo import ZoneInfo

from hub.connector import Refused, SourceEvent, parse_json, parse_object, version_at
from hub.errors import Malformed

# What becomes of a message by its type. Every other says nothing of money, or not yet.
_TRADES = (
    "trade_TradeCreate",
    "trade_TradePaid",
    "trade_TradeBuyerPay",
    "trade_TradeSuccess",
    "trade_TradeClose",
)
REFUNDS = (
    "trade_refund_RefundSuccess",
    "trade_refund_RefundSellerAgree",
    "trade_refund_SysRefund",
    "youzan_trade_RefundSuccess",
    "youzan_trade_RefundSellerAgree",
)
_CUSTOMERS = "SCRM_CUSTOMER_EVENT"
# `close_type` of an order that nobody paid in time.
_EXPIRED = 1
_CHINA = ZoneInfo("Asia/Shanghai")


def decode_body(body: bytes, topic: str | None) -> Sequence[SourceEvent]:
    """Read a body; see Connector.decode. Only the hub's own pages are told by their topic."""
    parsed = parse_object(body)
    if "msg" in parsed and "type" in parsed:
        return [_message(parsed)]
    data = parsed.get("data")
    if isinstance(data, dict) and "success" in parsed:
        return _answer(data, topic)
    if "full_order_info" in parsed:
        return [_trade(parsed, "trade", "")]
    raise Refused(f"{next(iter(parsed), 'an empty object')} is no order, refund or customer")


def _message(message: Mapping[str, Any]) -> SourceEvent:
    kind = message["type"]
    if not isinstance(kind, str):
        raise Malformed("a message's type was expected", field="type")
    if message.get("test") in (True, "true"):
        raise Refused("a test message")
    if kind == _CUSTOMERS:
        return _customer(message)
    if kind not in (*_TRADES, *REFUNDS):
        raise Refused(f"{kind} says nothing about sales or customers")
    content = _content(message.get("msg"))
    if "full_order_info" in content and kind in _TRADES:
        told = {**content, "kdt_id": message.get("kdt_id")}
        event = _trade(told, kind, "msg.")
        return replace(event, snapshot=None) if _is_stripped(content) else event
    if kind == "trade_TradeClose" and content.get("close_type") in (_EXPIRED, str(_EXPIRED)):
        raise Refused("the order was closed before it was paid")
    # A refund's time is its own: its order may not have changed by it.
    stated = None if kind in REFUNDS else content.get("update_time")
    return _thin(content.get("tid") or message.get("id"), kind, "msg.tid", stated)


def _is_stripped(content: Mapping[str, Any]) -> bool:
    """Say whether a paid order comes without what stored value and gift cards paid of it."""
    order = content["full_order_info"]
    pay_info = order.get("pay_info")
    paid = order["order_info"].get("pay_time")
    return bool(paid) and isinstance(pay_info, dict) and "deduction_pay" not in pay_info


def _content(msg: Any) -> dict[str, Any]:
    """Open a message's content: an object, or JSON that is URL-encoded.

    A plus is a space, as in forms; where spaces are written %20, it is a plus.
    """
    if isinstance(msg, dict):
        return msg
    if not isinstance(msg, str):
        raise Malformed("a message's content was expected", field="msg")
    try:
        text = unquote(msg, errors="strict") if "%20" in msg else unquote_plus(msg, errors="strict")
        found = parse_json(text.encode())
    except (Malformed, UnicodeError) as bad:
        raise Malformed("this is no URL-encoded JSON", field="msg") from bad
    if not isinstance(found, dict):
        raise Malformed("a JSON object was expected", field="msg")
    return found


def _answer(data: Mapping[str, Any], topic: str | None) -> Sequence[SourceEvent]:
    """Read a page of orders, refunds or customers, or one order's detail."""
    rows = data.get("full_order_info_list")
    if isinstance(rows, list):
        field = "data.full_order_info_list[{}]."
        return [_listed(row, topic, field.format(i)) for i, row in enumerate(rows)]
    rows = data.get("refunds")
    if isinstance(rows, list):
        return _refunds(rows, topic)
    rows = data.get("record_list")
    if isinstance(rows, list):
        return _records(rows)
    if "full_order_info" in data:
        return [_trade(data, "trade", "data.")]
    raise Refused(f"{next(iter(data), 'an empty answer')} is no order, refund or customer")


def _listed(row: Any, topic: str | None, path: str) -> SourceEvent:
    """Read a listed order. Lists leave out how a paid one was paid: its detail is asked for."""
    if not isinstance(row, dict):
        raise Malformed("a JSON object was expected", field=path.rstrip("."))
    event = _trade(row, topic or "orders", path)
    return replace(event, snapshot=None) if _info(row, path).get("pay_time") else event


def _refunds(rows: Sequence[Any], topic: str | None) -> Sequence[SourceEvent]:
    """Read a page of refunds: each that went through makes the hub ask for its order."""
    found = []
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Malformed("a JSON object was expected", field=f"data.refunds[{i}]")
        if row.get("status") == "SUCCESS":
            found.append(_thin(row.get("tid"), topic or "refunds", f"data.refunds[{i}].tid"))
    if not found:
        raise Refused("none of these refunds has gone through")
    return found


def _trade(trade: Mapping[str, Any], kind: str, path: str) -> SourceEvent:
    """Read an order; one that was refunded is told by its detail and those of its refunds."""
    info = _info(trade, path)
    at = f"{path}full_order_info.order_info.tid"
    thin = _thin(info.get("tid"), kind, at, info.get("update_time"))
    refunded = info.get("refund_state") not in (None, 0, "0", "") or trade.get("refund_order")
    closed = info.get("status") == "TRADE_CLOSED"
    asked_for = "refund_details" in trade
    if (refunded or closed) and info.get("pay_time") and not asked_for:
        return thin
    return replace(thin, snapshot=trade)


def _info(trade: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    order = trade.get("full_order_info")
    info = order.get("order_info") if isinstance(order, dict) else None
    if not isinstance(info, dict):
        raise Malformed("a JSON object was expected", field=f"{path}full_order_info.order_info")
    return info


def _thin(tid: Any, kind: str, field: str, update_time: Any = None) -> SourceEvent:
    """Point at an order. Its version is when it changed, so that a stale detail is known as one."""
    if not isinstance(tid, str) or not tid:
        raise Malformed("an order's number was expected", field=field)
    version = version_at(instant(update_time))
    return SourceEvent(type=kind, entity="order", entity_id=tid, version=version)


def _customer(message: Mapping[str, Any]) -> SourceEvent:
    content = _content(message.get("msg"))
    if content.get("is_log_off") in (True, 1, "1", "true"):
        raise Refused("the customer closed the account; erasure is asked for in the hub")
    found = {**content, "version": message.get("version")}
    return _person(found, _CUSTOMERS, "msg.yz_open_id")


def _records(rows: Sequence[Any]) -> Sequence[SourceEvent]:
    """Read a page of customers, whose only time is when they became one."""
    found = []
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Malformed("a JSON object was expected", field=f"data.record_list[{i}]")
        if row.get("yz_open_id"):
            said = {**row, "version": row.get("created_at"), "name": row.get("show_name")}
            found.append(_person(said, "customers", f"data.record_list[{i}].yz_open_id"))
    if not found:
        raise Refused("none of these customers has a yz_open_id")
    return found


def _person(found: Mapping[str, Any], kind: str, field: str) -> SourceEvent:
    known = found.get("yz_open_id")
    if not known:
        raise Refused("the message names no yz_open_id, by which orders know their buyer")
    if not isinstance(known, str):
        raise Malformed("an id was expected", field=field)
    return SourceEvent(type=kind, entity="customer", entity_id=known, snapshot=found)


def instant(stated: Any) -> datetime | None:
    """Read the time that orders snapshots; what is wrong with it is said when it is mapped."""
    try:
        found = datetime.fromisoformat(stated)
    except (TypeError, ValueError):
        return None
    return found.replace(tzinfo=_CHINA) if found.tzinfo is None else found
