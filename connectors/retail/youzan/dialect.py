"""How Youzan signs, names and delivers.

Facts: doc.youzanyun.com, message push, trades and refunds. Where its pages contradict each other,
the reading that gives no points away was chosen; docs/connectors/youzan.md says which.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.retail.youzan.config import (
    GROUP_ORDER,
    NO_SALES,
    PAID_LATER,
    YouzanConfig,
)
from connectors.retail.youzan.payload import Customer, OrderInfo, RefundDetail, Trade, TradeHead
from connectors.retail.youzan.people import profile_changed
from connectors.retail.youzan.pull import LISTS, pull_page
from connectors.retail.youzan.reading import decode_body
from connectors.retail.youzan.refund import paid_back, refund_recorded
from connectors.retail.youzan.sale import sale_completed
from connectors.retail.youzan.upstream import fetch_trade, say_who
from hub.connector import (
    CanonicalEvent,
    Connection,
    Delivery,
    FactKey,
    Inbound,
    Outcome,
    Page,
    RateBudget,
    Refused,
    ReplayProtection,
    Reply,
    SourceEvent,
    Spec,
    UpstreamClient,
    parse_json,
    read_as,
    require_match,
)
from hub.errors import Malformed

_PAID = (
    "TRADE_PAID",
    "WAIT_SELLER_SEND_GOODS",
    "WAIT_BUYER_CONFIRM_GOODS",
    "TRADE_SUCCESS",
    "TRADE_CLOSED",
)
_ALL_REFUNDED = 12


class Youzan:
    """The dialect. `Event-Sign` is the MD5 of client id, raw body and client secret, without time:
    a message can be played again, and only `msg_id` tells. Whoever answers without the word
    "success" gets the message again.
    """

    spec = Spec(
        name="youzan",
        title="有赞 Youzan",
        config=YouzanConfig,
        replay_protection=ReplayProtection.DEDUP_ID,
        acknowledge_within_seconds=5,
        # Youzan advises on single operations only; this is far below all of them.
        rate_budget=RateBudget(requests=10, per_seconds=2),
    )
    streams = tuple(LISTS)

    def verify(self, inbound: Inbound, connection: Connection, now: datetime) -> Delivery:
        """Check the signature over the raw body; see Connector.verify."""
        client_id = connection.config.client_id.encode()
        given = inbound.headers.get("event-sign")
        require_match(
            given.lower() if given else None,
            [
                hashlib.md5(client_id + inbound.body + secret.encode()).hexdigest()  # noqa: S324
                for secret in connection.secrets
            ],
            what="Event-Sign",
        )
        return Delivery(
            dedup_id=_message_id(inbound.body),
            topic=inbound.headers.get("event-type") or None,
        )

    def acknowledge(self, outcome: Outcome) -> Reply:
        """Only an answer that says "success" is one."""
        json = {"content-type": "application/json"}
        if outcome is Outcome.ACCEPTED:
            return Reply(status=200, body=b'{"code":0,"msg":"success"}', headers=json)
        status = 401 if outcome is Outcome.SIGNATURE_INVALID else 503
        return Reply(status=status, body=b'{"code":1,"msg":"failed"}', headers=json)

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        """Read a message, its content, or a page of the API; see Connector.decode."""
        return decode_body(body, topic)

    def map(
        self, event: SourceEvent, posted: Collection[FactKey], connection: Connection
    ) -> Sequence[CanonicalEvent]:
        """Yield what `event` says beyond the facts in `posted`; see Connector.map."""
        if event.entity == "customer":
            found = [profile_changed(read_as(Customer, event.snapshot), connection)]
        else:
            found = _map_trade(event, connection)
        return [one for one in found if one.fact not in posted]

    async def hydrate(
        self, client: UpstreamClient, event: SourceEvent, connection: Connection
    ) -> Mapping[str, Any]:
        """Fetch an order's detail, with those of its refunds."""
        return await fetch_trade(client, connection, event)

    async def pull(
        self,
        client: UpstreamClient,
        stream: str,
        cursor: str | None,
        connection: Connection,
        *,
        since: datetime,
        until: datetime,
    ) -> Page:
        """Fetch one page of orders, refunds or customers; see Pulling.pull."""
        return await pull_page(client, stream, cursor, connection, since=since, until=until)

    async def check(self, client: UpstreamClient, connection: Connection) -> str:
        """Say whose shop the token opens."""
        return await say_who(client, connection)


def _message_id(body: bytes) -> str | None:
    """Return the `msg_id` of a signed body; what is no message has none."""
    try:
        found = parse_json(body)
    except Malformed:
        return None
    told = found.get("msg_id") if isinstance(found, dict) else None
    return told if isinstance(told, str) and told else None


def _map_trade(event: SourceEvent, connection: Connection) -> list[CanonicalEvent]:
    _require_sale(read_as(TradeHead, event.snapshot).full_order_info.order_info)
    trade = read_as(Trade, event.snapshot)
    found = [sale_completed(trade, connection)]
    refunds = [
        (i, refund)
        for i, refund in enumerate(trade.refund_details)
        if paid_back(refund) and refund.refund_fee
    ]
    _require_refunds(trade, [refund for _, refund in refunds])
    told = [refund_recorded(refund, i, trade, connection) for i, refund in refunds]
    return found + sorted(told, key=lambda one: (one.occurred_at, one.fact))


def _require_refunds(trade: Trade, refunds: Sequence[RefundDetail]) -> None:
    """Raise Malformed when an order says that money went back, and no refund says that it did."""
    info, paid = trade.full_order_info.order_info, trade.full_order_info.pay_info.payment
    back = sum((refund.refund_fee for refund in refunds), Decimal(0))
    closed = info.status == "TRADE_CLOSED" and not refunds
    if (info.refund_state == _ALL_REFUNDED or closed) and back < paid:
        raise Malformed("paid and taken back, but no refund says so", field="refund_order")


def _require_sale(info: OrderInfo) -> None:
    """Raise Refused, saying why, for an order in which nobody has bought anything for good."""
    tags, extra = info.order_tags, info.order_extra
    no_sale = NO_SALES.get(info.type or 0)
    if no_sale is not None:
        raise Refused(f"this is {no_sale}")
    if tags is not None and tags.is_purchase_order:
        raise Refused("this is a distributor's purchase")
    if extra is not None and extra.is_parent_order == "1":
        raise Refused("an order of orders: each of them counts by itself")
    if info.pay_time is None:
        raise Refused(f"the order is {info.status} and not paid")
    if info.status not in _PAID:
        raise Refused(f"the order is {info.status}")
    awaited = info.type == GROUP_ORDER or (tags is not None and tags.is_down_payment_pre)
    if info.status == "TRADE_PAID" and awaited:
        raise Refused("a group's or a deposit's order is a sale once it is to be sent")
    if info.pay_type in PAID_LATER and info.status != "TRADE_SUCCESS":
        raise Refused("what is paid after delivery is a sale once it is over")
