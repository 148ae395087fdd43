"""How Shopify signs, names and delivers. Facts: shopify.dev, "Webhooks" and the Admin REST API."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from connectors.retail.shopify.config import ShopifyConfig
from connectors.retail.shopify.payload import Customer, OrderDocument, OrderHead, RefundDocument
from connectors.retail.shopify.people import profile_changed
from connectors.retail.shopify.pull import STREAMS, pull_page
from connectors.retail.shopify.refund import paid_back, refund_recorded
from connectors.retail.shopify.sale import sale_completed
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
    hmac_sha256_base64,
    parse_json,
    read_as,
    require_match,
    require_object,
    version_at,
    zoned_instant,
)
from hub.errors import Malformed

# An order is a sale from the moment it is paid; what happens to the money later are refunds.
_PAID = ("paid", "partially_refunded", "refunded")
_RESOURCES = ("order", "refund", "customer")
_TOPICS = {
    "orders/create": "order",
    "orders/paid": "order",
    "orders/updated": "order",
    "refunds/create": "refund",
    "customers/create": "customer",
    "customers/update": "customer",
}
# What tells the three resources apart when neither a topic nor a wrapper does.
_MARKS = {"order": "financial_status", "refund": "refund_line_items", "customer": "verified_email"}


class Shopify:
    """The dialect. `X-Shopify-Hmac-SHA256` is base64 HMAC-SHA256 over the raw body; after a
    rotation the old secret may sign for another hour. Eight retries in four hours carry the
    payload of the first attempt, so that order is kept by `updated_at`, not by arrival.
    """

    spec = Spec(
        name="shopify",
        title="Shopify",
        config=ShopifyConfig,
        replay_protection=ReplayProtection.DEDUP_ID,
        acknowledge_within_seconds=5,
        rate_budget=RateBudget(requests=40, per_seconds=20),
    )
    streams = STREAMS

    def verify(self, inbound: Inbound, connection: Connection, now: datetime) -> Delivery:
        """Check the signature over the raw body; see Connector.verify."""
        require_match(
            inbound.headers.get("x-shopify-hmac-sha256"),
            [hmac_sha256_base64(secret, inbound.body) for secret in connection.secrets],
            what="X-Shopify-Hmac-SHA256",
        )
        ids = (inbound.headers.get(f"x-shopify-{name}-id") for name in ("webhook", "event"))
        return Delivery(
            dedup_id="/".join(found for found in ids if found) or None,
            topic=inbound.headers.get("x-shopify-topic"),
            triggered_at=zoned_instant(inbound.headers.get("x-shopify-triggered-at")),
        )

    def acknowledge(self, outcome: Outcome) -> Reply:
        """Any 2xx stops the retries; anything else, a redirect too, is a failed delivery."""
        if outcome is Outcome.ACCEPTED:
            return Reply(status=200)
        if outcome is Outcome.SIGNATURE_INVALID:
            return Reply(status=401)
        return Reply(status=503, headers={"retry-after": "60"})

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        """Read a webhook body, a REST resource or a page of them; see Connector.decode."""
        parsed = parse_json(body)
        if topic is not None and topic not in (*_TOPICS, *STREAMS):
            raise Refused(f"topic {topic} says nothing about sales or customers")
        if not isinstance(parsed, dict):
            raise Refused("a bare list is no order, refund or customer")
        for resource in _RESOURCES:
            if isinstance(parsed.get(resource), dict) and len(parsed) == 1:
                return [_event(resource, resource, parsed[resource], "")]
            page = parsed.get(f"{resource}s")
            if isinstance(page, list) and len(parsed) == 1:
                path = f"{resource}s"
                return [
                    _event(resource, resource, item, f"{path}[{i}]") for i, item in enumerate(page)
                ]
        if topic in _TOPICS:
            return [_event(_TOPICS[topic], topic, parsed, "")]
        for resource, mark in _MARKS.items():
            if mark in parsed:
                return [_event(resource, resource, parsed, "")]
        raise Refused(f"{next(iter(parsed), 'an empty object')} is no order, refund or customer")

    def map(
        self, event: SourceEvent, posted: Collection[FactKey], connection: Connection
    ) -> Sequence[CanonicalEvent]:
        """Yield what `event` says beyond the facts in `posted`; see Connector.map."""
        if event.entity == "customer":
            customer = read_as(Customer, event.snapshot)
            found = [profile_changed(customer, connection)]
        elif event.type.startswith("refund"):
            refund = read_as(RefundDocument, event.snapshot)
            if not paid_back(refund):
                raise Refused(f"refund {refund.id} moved no money")
            found = [refund_recorded(refund, connection)]
        else:
            found = _map_order(event, connection)
        return [one for one in found if one.fact not in posted]

    async def hydrate(
        self, client: UpstreamClient, event: SourceEvent, connection: Connection
    ) -> Mapping[str, Any]:
        """Fetch an order with its transactions: only they say how much each gateway paid."""
        order_id = quote(event.entity_id, safe="")
        path = f"/admin/api/{connection.config.api_version}/orders/{order_id}"
        headers = _headers(connection)
        order = await client.request("GET", f"{path}.json", headers=headers)
        paid = await client.request("GET", f"{path}/transactions.json", headers=headers)
        return {**require_object(order, "order"), "transactions": paid.get("transactions")}

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
        """Fetch one page of orders or customers that changed; see Pulling.pull."""
        return await pull_page(
            client,
            stream,
            cursor,
            api_version=connection.config.api_version,
            headers=_headers(connection),
            since=since,
            until=until,
        )

    async def check(self, client: UpstreamClient, connection: Connection) -> str:
        """Say whose shop the access token opens."""
        path = f"/admin/api/{connection.config.api_version}/shop.json"
        shop = await client.request("GET", path, headers=_headers(connection))
        return f"The access token opens the shop {require_object(shop, 'shop').get('name')}."


def _headers(connection: Connection) -> dict[str, str]:
    token = connection.config.access_token
    return {"X-Shopify-Access-Token": token.get_secret_value()} if token else {}


def _event(resource: str, topic: str, document: Any, path: str) -> SourceEvent:
    if not isinstance(document, dict):
        raise Malformed("a JSON object was expected", field=path or resource)
    if resource == "refund" and "id" not in document:
        raise Refused("a calculated refund is a suggestion; nothing was paid back")
    prefix = f"{path}." if path else ""
    # A refund belongs to its order's history: one entity, one order of effects.
    key = "order_id" if resource == "refund" else "id"
    entity_id = document.get(key)
    if not isinstance(entity_id, int | str) or entity_id == "":
        raise Malformed("an id was expected", field=f"{prefix}{key}")
    stated = None if resource == "refund" else document.get("updated_at")
    return SourceEvent(
        type=topic,
        entity="customer" if resource == "customer" else "order",
        entity_id=str(entity_id),
        version=version_at(zoned_instant(stated if isinstance(stated, str) else None)),
        snapshot=None if resource == "order" and _needs_transactions(document) else document,
    )


def _needs_transactions(order: Mapping[str, Any]) -> bool:
    gateways = order.get("payment_gateway_names")
    return (
        isinstance(gateways, list)
        and len(gateways) > 1
        and order.get("financial_status") in _PAID
        and not order.get("transactions")
    )


def _map_order(event: SourceEvent, connection: Connection) -> list[CanonicalEvent]:
    head = read_as(OrderHead, event.snapshot)
    if head.test:
        raise Refused("this is a test order")
    if head.financial_status not in _PAID:
        raise Refused(f"financial_status is {head.financial_status}")
    if event.snapshot is not None and "line_items" not in event.snapshot:
        raise Refused("the order comes without its line_items")
    order = read_as(OrderDocument, event.snapshot)
    found = [sale_completed(order, connection, event.version)]
    found += [
        refund_recorded(refund, connection)
        for refund in sorted(order.refunds, key=lambda one: (one.created_at, one.id))
        if paid_back(refund)
    ]
    return found
