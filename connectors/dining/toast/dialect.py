"""How Toast signs, names and delivers. Facts: doc.toasttab.com, "Webhooks", "Orders API"."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.dining.toast.answering import answer_call
from connectors.dining.toast.config import ToastConfig
from connectors.dining.toast.payload import Snapshot, State
from connectors.dining.toast.reading import decode_body, order_snapshots
from connectors.dining.toast.sale import sale_completed
from connectors.dining.toast.serving import read_call
from connectors.dining.toast.undoing import check_voided, items_voided, refunds_recorded
from connectors.dining.toast.upstream import Api, fetch_order, pull_page, restaurant_name
from hub.connector import (
    Call,
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
    Result,
    SourceEvent,
    Spec,
    UpstreamClient,
    hmac_sha256_base64,
    parse_json,
    parse_object,
    read_as,
    require_match,
    zoned_instant,
)
from hub.errors import HubError, Malformed


class Toast:
    """The dialect. A webhook is the whole order, without its guests; each check is a sale.

    Orders have no customers of their own to be pulled, and no payments that are not in them.
    """

    spec = Spec(
        name="toast",
        title="Toast",
        config=ToastConfig,
        replay_protection=ReplayProtection.DEDUP_ID,
        acknowledge_within_seconds=2,
        rate_budget=RateBudget(requests=5, per_seconds=1),
    )
    streams = ("orders",)

    def __init__(self) -> None:
        self._api = Api()

    def verify(self, inbound: Inbound, connection: Connection, now: datetime) -> Delivery:
        """Check the signature over the raw body and the envelope's time; see Connector.verify.

        The time is only looked up before: it stands within what is signed.
        """
        try:
            envelope: Mapping[str, Any] = parse_object(inbound.body)
        except Malformed:  # it may be authentic all the same, and decode will name the field
            envelope = {}
        signed = inbound.body + (_text(envelope, "timestamp") or "").encode(errors="replace")
        require_match(
            inbound.headers.get("toast-signature"),
            [hmac_sha256_base64(secret, signed) for secret in connection.secrets],
            what="Toast-Signature",
        )
        return Delivery(
            dedup_id=_text(envelope, "guid"),
            topic=_text(envelope, "eventType"),
            triggered_at=zoned_instant(_text(envelope, "timestamp")),
        )

    def acknowledge(self, outcome: Outcome) -> Reply:
        """A 2xx settles the event, a 5xx brings it again; most 4xx lose it for good."""
        if outcome is Outcome.ACCEPTED:
            return Reply(status=200)
        if outcome is Outcome.SIGNATURE_INVALID:
            return Reply(status=401)
        return Reply(status=503)

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        """Read a webhook, an order or a page of orders; see Connector.decode."""
        return decode_body(parse_json(body), topic)

    def map(
        self, event: SourceEvent, posted: Collection[FactKey], connection: Connection
    ) -> Sequence[CanonicalEvent]:
        """Yield what a check says beyond the facts in `posted`; see Connector.map."""
        state = read_as(State, event.snapshot)
        order, check, config = state.order, state.check, connection.config
        if config.restaurants and state.restaurant not in (None, *config.restaurants):
            raise Refused("the check is another restaurant's")
        if order.created_in_test_mode:
            raise Refused("this is a test order")
        if order.excess_food:
            raise Refused("excess food is no sale")
        if check.voided or check.deleted or order.voided or order.deleted:
            if not check.payments:
                raise Refused("the check was voided or merged before it was paid")
            found = [check_voided(state, connection)]
        elif check.payment_status != "CLOSED":
            raise Refused(f"check is {check.payment_status}")
        else:
            snapshot = read_as(Snapshot, event.snapshot)
            if not snapshot.check.selections and not snapshot.check.applied_service_charges:
                raise Refused("the check sells nothing")
            found = [sale_completed(snapshot, event.version, connection)]
            found += items_voided(snapshot, connection)
            found += refunds_recorded(snapshot, connection)
        return [one for one in found if one.fact not in posted]

    async def hydrate(
        self, client: UpstreamClient, event: SourceEvent, connection: Connection
    ) -> Mapping[str, Any]:
        """Fetch a check's order, whose guests webhooks leave out."""
        restaurant, _, order_id = (event.address or "").partition("/")
        if not order_id:
            raise Malformed("the order and its restaurant must be known", field="details")
        restaurants = connection.config.restaurants
        if restaurants and restaurant not in restaurants:
            raise Refused("the check is another restaurant's")
        order = await fetch_order(
            self._api, client, connection.config, restaurant=restaurant, order=order_id
        )
        return order_snapshots(order, restaurant).get(event.entity_id) or {
            "restaurant": restaurant,
            "order": {"guid": order_id},
            "check": {"guid": event.entity_id, "paymentStatus": "no longer in its order"},
        }

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
        """Fetch the orders changed in one window of time; see Pulling.pull."""
        return await pull_page(
            self._api, client, connection.config, cursor, since=since, until=until
        )

    def read_call(self, inbound: Inbound, connection: Connection, now: datetime) -> Call:
        """Read a transaction of the loyalty protocol; see Serving.read_call."""
        return read_call(inbound, connection)

    def answer_call(
        self, inbound: Inbound, call: Call | None, result: Result | HubError, connection: Connection
    ) -> Reply:
        """Answer a transaction of the loyalty protocol; see Serving.answer_call."""
        return answer_call(inbound, call, result, connection)

    async def check(self, client: UpstreamClient, connection: Connection) -> str:
        """Say which restaurants the credentials open."""
        config = connection.config
        if not config.restaurants:
            raise Malformed("say which restaurants to ask for", field="config.restaurants")
        names = [
            await restaurant_name(self._api, client, config, one) for one in config.restaurants
        ]
        return f"The credentials open {', '.join(names)}."


def _text(envelope: Mapping[str, Any], key: str) -> str | None:
    found = envelope.get(key)
    return found if isinstance(found, str) else None
