"""What is asked of Youzan's open API.

Every call is a POST that carries its token in the URL: Youzan takes it nowhere else. The token is
therefore cut out of whatever is raised about such a URL.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from connectors.retail.youzan.config import YouzanConfig
from connectors.retail.youzan.reading import REFUNDS, instant
from hub.connector import (
    Answered,
    Connection,
    NotYet,
    SourceEvent,
    UpstreamClient,
    parse_object,
    version_at,
)
from hub.errors import Malformed

# Codes of answers that are worth another try: too often, too slow, not readable yet.
_AGAIN = ("4101", "500100004", "123000042", "106000001", "106100118", "102010003")
_NOT_FOUND = "5000"
# Details lag behind messages; Youzan advises to wait this long.
_LAG_SECONDS = 30
# refund_state while money is on its way back: partly, wholly.
_ON_ITS_WAY = (1, 11)
_REFUNDED = 60


async def fetch_trade(
    client: UpstreamClient, connection: Connection, event: SourceEvent
) -> Mapping[str, Any]:
    """Fetch an order with the details of its refunds.

    Raises NotYet while its detail cannot be read, is older than what the event speaks of, or says
    that money is on its way back.
    """
    tid = event.entity_id
    token = await token_of(client, connection)
    trade = await _data(client, token, "youzan.trade.get/4.0.2", {"tid": tid})
    order = trade.get("full_order_info")
    info = order.get("order_info") if isinstance(order, Mapping) else None
    if not isinstance(info, Mapping):
        raise Malformed("a JSON object was expected", field="full_order_info.order_info")
    if info.get("refund_state") in _ON_ITS_WAY:
        raise NotYet(f"order {tid} is being refunded", retry_after_seconds=_LAG_SECONDS)
    refund_ids = _refund_ids(trade)
    version = version_at(instant(info.get("update_time")))
    stale = version is not None and event.version is not None and version < event.version
    if stale or (event.type in REFUNDS and not refund_ids):
        raise NotYet(f"the detail of order {tid} is stale", retry_after_seconds=_LAG_SECONDS)
    details = [
        await _data(client, token, "youzan.trade.refund.get/3.0.1", {"refund_id": refund_id})
        for refund_id in refund_ids
    ]
    return {**trade, "refund_details": details}


def _refund_ids(trade: Mapping[str, Any]) -> list[str]:
    listed = trade.get("refund_order") or []
    if not isinstance(listed, list):
        raise Malformed("a JSON list was expected", field="refund_order")
    found: list[str] = []
    for i, refund in enumerate(listed):
        if not isinstance(refund, Mapping):
            raise Malformed("a JSON object was expected", field=f"refund_order[{i}]")
        if str(refund.get("refund_state")) != str(_REFUNDED):
            continue
        refund_id = refund.get("refund_id")
        if not isinstance(refund_id, str) or not refund_id:
            raise Malformed("an id was expected", field=f"refund_order[{i}].refund_id")
        if refund_id not in found:
            found.append(refund_id)
    return found


async def say_who(client: UpstreamClient, connection: Connection) -> str:
    """Say whose shop the token opens."""
    token = await token_of(client, connection)
    shop = await _data(client, token, "youzan.shop.get/3.0.0", {})
    return f"The token opens the shop {shop.get('name')}."


async def token_of(client: UpstreamClient, connection: Connection) -> str:
    """Return the configured token, or ask for the shop's own (it is the same for seven days)."""
    config: YouzanConfig = connection.config
    if config.access_token is not None:
        return config.access_token.get_secret_value()
    answer = await client.request(
        "POST",
        "/auth/token",
        json={
            "client_id": config.client_id,
            "client_secret": connection.secrets[0] if connection.secrets else "",
            "authorize_type": "silent",
            "grant_id": config.grant_id or "",
            "refresh": False,
        },
    )
    token = _opened(answer, "auth/token").get("access_token")
    if not isinstance(token, str):
        raise Malformed("no token was given", field="auth/token")
    return token


async def call(
    client: UpstreamClient, token: str, operation: str, body: Mapping[str, Any]
) -> Answered:
    """Call one operation and return its answer as it came; see `opened` for what it says."""
    query = urlencode({"access_token": token})
    try:
        return await client.fetch("POST", f"/api/{operation}?{query}", json=body)
    except NotYet as wait:
        said = wait.message.replace(query, "…")
        raise NotYet(said, retry_after_seconds=wait.retry_after_seconds) from None
    except Malformed as bad:
        raise Malformed(bad.message.replace(query, "…"), field=operation) from None


def opened(body: bytes, operation: str) -> Mapping[str, Any]:
    """Return an answer's data; raises NotYet where asking again may help, else Malformed.

    An answer that failed may hold empty data besides: it is not taken for nothing.
    """
    return _opened(parse_object(body), operation)


async def _data(
    client: UpstreamClient, token: str, operation: str, body: Mapping[str, Any]
) -> Mapping[str, Any]:
    return opened((await call(client, token, operation, body)).body, operation)


def _opened(answer: Any, operation: str) -> Mapping[str, Any]:
    if not isinstance(answer, Mapping):
        raise Malformed("a JSON object was expected", field=operation)
    refusal = answer.get("gw_err_resp")
    said = refusal if isinstance(refusal, Mapping) else answer
    code = str(said.get("code") or said.get("err_code") or "")
    message = str(said.get("message") or said.get("err_msg") or said.get("msg") or "no reason")
    data = answer.get("data")
    if said is answer and answer.get("success") is True and isinstance(data, Mapping):
        return data
    if code in _AGAIN or (code == _NOT_FOUND and "not found" in message):
        raise NotYet(f"{operation} answered {code}: {message}", retry_after_seconds=_LAG_SECONDS)
    raise Malformed(f"{operation} answered {code}: {message}", field=operation)
