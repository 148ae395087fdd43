"""How WooCommerce signs, names and delivers.

Facts: WooCommerce REST API documentation (v3), "Webhooks", "Orders" and "Refunds", and what the
plugin does where the documentation is silent.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.retail.woocommerce.config import WooCommerceConfig
from connectors.retail.woocommerce.payload import Customer, OrderDocument, OrderHead
from connectors.retail.woocommerce.people import profile_changed
from connectors.retail.woocommerce.reading import decode_body
from connectors.retail.woocommerce.refund import refund_recorded
from connectors.retail.woocommerce.sale import sale_completed, sale_voided
from connectors.retail.woocommerce.upstream import (
    fetch_order,
    pull_customers,
    pull_orders,
    say_who,
)
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
    read_as,
    require_match,
)
from hub.errors import Malformed

# Paid, and then taken back without a refund: by hand, or after a dispute that was lost.
_TAKEN_BACK = ("cancelled", "failed")
_NO_PARENT = ("0", "", "None")


class WooCommerce:
    """The dialect. `X-WC-Webhook-Signature` is base64 HMAC-SHA256 over the raw body. A failed
    delivery is not tried again, and more than five in a row disable the webhook: what was lost is
    found by pulling.
    """

    spec = Spec(
        name="woocommerce",
        title="WooCommerce",
        config=WooCommerceConfig,
        replay_protection=ReplayProtection.DEDUP_ID,
        acknowledge_within_seconds=60,
        # WooCommerce itself sets none; shared hosts do not like more.
        rate_budget=RateBudget(requests=20, per_seconds=10),
    )
    streams = ("orders", "customers")

    def verify(self, inbound: Inbound, connection: Connection, now: datetime) -> Delivery:
        """Check the signature over the raw body; see Connector.verify."""
        require_match(
            inbound.headers.get("x-wc-webhook-signature"),
            [hmac_sha256_base64(secret, inbound.body) for secret in connection.secrets],
            what="X-WC-Webhook-Signature",
        )
        return Delivery(
            dedup_id=inbound.headers.get("x-wc-webhook-delivery-id") or None,
            topic=inbound.headers.get("x-wc-webhook-topic") or None,
        )

    def acknowledge(self, outcome: Outcome) -> Reply:
        """Any 2xx is a success; everything else counts towards disabling the webhook."""
        if outcome is Outcome.ACCEPTED:
            return Reply(status=200)
        return Reply(status=401 if outcome is Outcome.SIGNATURE_INVALID else 503)

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        """Read a webhook body, a resource or a page of them; see Connector.decode."""
        return decode_body(body, topic)

    def map(
        self, event: SourceEvent, posted: Collection[FactKey], connection: Connection
    ) -> Sequence[CanonicalEvent]:
        """Yield what `event` says beyond the facts in `posted`; see Connector.map."""
        if event.entity == "customer":
            found = [profile_changed(read_as(Customer, event.snapshot), connection)]
        else:
            found = _map_order(event, connection)
        return [one for one in found if one.fact not in posted]

    async def hydrate(
        self, client: UpstreamClient, event: SourceEvent, connection: Connection
    ) -> Mapping[str, Any]:
        """Fetch an order with its refunds: only they say when, and of which lines."""
        return await fetch_order(client, connection.config, event.entity_id)

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
        """Fetch one page of orders that changed, or of customers; see Pulling.pull."""
        if stream == "customers":
            return await pull_customers(client, connection.config, cursor, until)
        return await pull_orders(client, connection.config, cursor, since, until)

    async def check(self, client: UpstreamClient, connection: Connection) -> str:
        """Say whose orders the keys read."""
        return await say_who(client, connection.config)


def _map_order(event: SourceEvent, connection: Connection) -> list[CanonicalEvent]:
    head = read_as(OrderHead, event.snapshot)
    if head.parent_id not in _NO_PARENT:
        raise Refused(f"a part of order {head.parent_id}, which counts as a whole")
    if head.date_paid_gmt is None and head.date_paid is not None:
        raise Malformed("the API's version 3 states when in GMT", field="date_paid_gmt")
    if head.date_paid_gmt is None:
        raise Refused(f"the order is {head.status} and not paid")
    if head.status not in (*connection.config.paid_statuses, *_TAKEN_BACK):
        raise Refused(f"the order's status is {head.status}")
    if event.snapshot is not None and "line_items" not in event.snapshot:
        raise Refused("the order comes without its line_items")
    order = read_as(OrderDocument, event.snapshot)
    found = [sale_completed(order, connection)]
    told = [
        refund_recorded(one, i, order, connection) for i, one in enumerate(order.refund_details)
    ]
    refunds = [refund for refund in told if refund is not None]
    paid_back = sum((one.amount for one in order.refund_details), Decimal(0))
    if head.status == "refunded" and paid_back < order.total:
        raise Malformed("the status says that all was refunded, no refund says so", field="refunds")
    found += sorted(refunds, key=lambda one: (one.occurred_at, one.fact))
    if head.status in _TAKEN_BACK:
        found.append(sale_voided(order, connection))
    return found
