"""How Square signs, names and delivers. Facts: developer.squareup.com, "Webhooks", "Orders API"."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from connectors.dining.square.config import SquareConfig
from connectors.dining.square.payload import Customer, OrderSnapshot, OrderState, PaymentRefund
from connectors.dining.square.payload import Payment as PaymentDocument
from connectors.dining.square.payment import map_payment, refund_recorded
from connectors.dining.square.people import profile_changed
from connectors.dining.square.pulling import STREAMS, pull_page
from connectors.dining.square.reading import decode_body, tenders_of
from connectors.dining.square.sale import sale_completed
from hub.connector import (
    CanonicalEvent,
    Connection,
    Delivery,
    FactKey,
    Inbound,
    Outcome,
    Page,
    Refused,
    ReplayProtection,
    Reply,
    SourceEvent,
    Spec,
    UpstreamClient,
    hmac_sha256_base64,
    is_text,
    parse_object,
    read_as,
    require_match,
    require_object,
)
from hub.errors import Malformed


class Square:
    """The dialect. The signature covers the notification URL and the raw body together.

    Order events are thin: id, version and state. They are hydrated; payments, refunds and
    customers come whole. A refund knows its payment and an order made for the refund itself.
    """

    spec = Spec(
        name="square",
        title="Square",
        config=SquareConfig,
        replay_protection=ReplayProtection.DEDUP_ID,
        acknowledge_within_seconds=10,
        thin=True,
    )
    streams = STREAMS

    def verify(self, inbound: Inbound, connection: Connection, now: datetime) -> Delivery:
        """Check the signature over URL and raw body; see Connector.verify."""
        url = connection.config.notification_url or inbound.url
        signed = url.encode() + inbound.body
        require_match(
            inbound.headers.get("x-square-hmacsha256-signature"),
            [hmac_sha256_base64(secret, signed) for secret in connection.secrets],
            what="x-square-hmacsha256-signature",
        )
        try:
            envelope = parse_object(inbound.body)
        except Malformed:  # authentic all the same: it is stored, and decode will name the field
            return Delivery(dedup_id=None)
        return Delivery(dedup_id=_text(envelope, "event_id"), topic=_text(envelope, "type"))

    def acknowledge(self, outcome: Outcome) -> Reply:
        """Any 2xx settles the event; anything else is tried again for a day or longer."""
        if outcome is Outcome.ACCEPTED:
            return Reply(status=200)
        if outcome is Outcome.SIGNATURE_INVALID:
            return Reply(status=401)
        return Reply(status=503)

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        """Read an event, an API object or a page of either; see Connector.decode."""
        return decode_body(parse_object(body))

    def map(
        self, event: SourceEvent, posted: Collection[FactKey], connection: Connection
    ) -> Sequence[CanonicalEvent]:
        """Yield what `event` says beyond the facts in `posted`; see Connector.map."""
        if event.entity == "payment":
            found = map_payment(read_as(PaymentDocument, event.snapshot), connection)
        elif event.entity == "refund":
            found = refund_recorded(read_as(PaymentRefund, event.snapshot), connection)
        elif event.entity == "customer":
            found = profile_changed(read_as(Customer, event.snapshot), connection)
        else:
            snapshot = event.snapshot or {}
            head = read_as(OrderState, snapshot).order
            if head.state != "COMPLETED":
                raise Refused(f"order is {head.state}")
            if not head.line_items:
                raise Refused("the order sells nothing; what it returns comes as a refund")
            found = sale_completed(read_as(OrderSnapshot, snapshot), connection)
        return [] if found.fact in posted else [found]

    async def hydrate(
        self, client: UpstreamClient, event: SourceEvent, connection: Connection
    ) -> Mapping[str, Any]:
        """Fetch an order, who its customer is, and what its external payments are."""
        headers = _headers(connection.config)
        answer = await client.request("GET", _path("orders", event.entity_id), headers=headers)
        order = require_object(answer, "order")
        tenders = tenders_of(order)
        customer_id = order.get("customer_id") or next(
            (one["customer_id"] for one in tenders if one.get("customer_id")), None
        )
        customer = None
        if customer_id:
            try:
                answer = await client.request(
                    "GET", _path("customers", customer_id), headers=headers
                )
                customer = require_object(answer, "customer")
            except Malformed:
                # Profiles that were merged or deleted answer 404, and the sale stands without.
                customer = None
        payments = []
        for tender in tenders:
            if tender.get("type") == "OTHER" and tender.get("payment_id"):
                path = _path("payments", tender["payment_id"])
                answer = await client.request("GET", path, headers=headers)
                payments.append(require_object(answer, "payment"))
        return {"order": order, "customer": customer, "payments": payments}

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
        """Fetch one page of completed orders, payments, refunds or customers; see Pulling.pull."""
        headers = _headers(connection.config)
        return await pull_page(client, stream, cursor, headers, since=since, until=until)

    async def check(self, client: UpstreamClient, connection: Connection) -> str:
        """Say which locations the access token opens."""
        answer = await client.request("GET", "/v2/locations", headers=_headers(connection.config))
        names = [str(one.get("name") or one.get("id")) for one in answer.get("locations") or ()]
        return f"The access token opens {', '.join(names) or 'no location'}."


def _headers(config: SquareConfig) -> dict[str, str]:
    headers = {"Square-Version": config.api_version}
    if config.access_token:
        headers["Authorization"] = f"Bearer {config.access_token.get_secret_value()}"
    return headers


def _path(kind: str, asked: object) -> str:
    """Return where an object is; raises Malformed for an id that could be nowhere."""
    if not isinstance(asked, str) or not is_text(asked):
        raise Malformed("text was expected", field=f"{kind}.id")
    return f"/v2/{kind}/{quote(asked, safe='')}"


def _text(envelope: Mapping[str, Any], key: str) -> str | None:
    found = envelope.get(key)
    return found if isinstance(found, str) else None
