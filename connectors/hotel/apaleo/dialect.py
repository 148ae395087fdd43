"""How Apaleo delivers and what it answers. Facts: apaleo.dev, "Webhooks", and the API reference."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from connectors.hotel.apaleo.config import ApaleoConfig
from connectors.hotel.apaleo.payload import ReservationState, StaySnapshot
from connectors.hotel.apaleo.reading import decode_body
from connectors.hotel.apaleo.stay import stay_facts
from connectors.hotel.apaleo.upstream import (
    ENDED,
    STREAMS,
    authorize,
    fetch_folio,
    fetch_page,
    fetch_stay,
    reservation_of,
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
    Sessions,
    SourceEvent,
    Spec,
    UpstreamClient,
    parse_object,
    read_as,
    require_match,
    token_given,
)
from hub.errors import Malformed


class Apaleo:
    """The dialect. Nothing signs the body: a token in the URL or basic authentication is all there
    is, and the events are thin. What a delivery says is therefore never believed: it only makes
    the hub ask Apaleo itself.
    """

    spec = Spec(
        name="apaleo",
        title="Apaleo",
        config=ApaleoConfig,
        replay_protection=ReplayProtection.DEDUP_ID,
        acknowledge_within_seconds=5,
        thin=True,
        rate_budget=RateBudget(requests=5, per_seconds=1),
    )
    streams = tuple(STREAMS)

    def __init__(self) -> None:
        self._sessions: Sessions[dict[str, str]] = Sessions()

    def verify(self, inbound: Inbound, connection: Connection, now: datetime) -> Delivery:
        """Check the token in the URL, or the password of basic auth; see Connector.verify."""
        require_match(
            token_given(inbound, connection.config.token_parameter),
            connection.secrets,
            what="the token in the URL or the password",
        )
        try:
            envelope = parse_object(inbound.body)
        except Malformed:  # authentic all the same: it is stored, and decode will name the field
            return Delivery(dedup_id=None)
        found = envelope.get("id")
        return Delivery(dedup_id=found if isinstance(found, str) else None)

    def acknowledge(self, outcome: Outcome) -> Reply:
        """Any 2xx settles the event, the health check of a new subscription among them."""
        if outcome is Outcome.ACCEPTED:
            return Reply(status=204)
        if outcome is Outcome.SIGNATURE_INVALID:
            return Reply(status=401)
        return Reply(status=503)

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        """Read a webhook or a page of the API; see Connector.decode."""
        return decode_body(parse_object(body))

    def map(
        self, event: SourceEvent, posted: Collection[FactKey], connection: Connection
    ) -> Sequence[CanonicalEvent]:
        """Yield what `event` says beyond the facts in `posted`; see Connector.map."""
        head = read_as(ReservationState, event.snapshot).reservation
        if head.status not in ENDED:
            raise Refused(f"reservation is {head.status}")
        found = stay_facts(read_as(StaySnapshot, event.snapshot), connection)
        return [one for one in found if one.fact not in posted]

    async def hydrate(
        self, client: UpstreamClient, event: SourceEvent, connection: Connection
    ) -> Mapping[str, Any]:
        """Ask Apaleo for the stay that an event points at, or whose folio it points at."""

        async def fetch(headers: Mapping[str, str]) -> Mapping[str, Any]:
            reservation_id = event.entity_id
            if event.entity == "folio":
                reservation_id = reservation_of(await fetch_folio(client, headers, event.entity_id))
            return await fetch_stay(client, headers, reservation_id)

        log_in = partial(authorize, client, connection.config)
        return await self._sessions.use(client, log_in, fetch)

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
        """Ask for the reservations and folios that changed; see Pulling.pull."""
        headers = await authorize(client, connection.config)
        return await fetch_page(client, headers, stream, cursor, since=since, until=until)

    async def check(self, client: UpstreamClient, connection: Connection) -> str:
        """Say which properties the credentials open."""
        headers = await authorize(client, connection.config)
        answer = await client.fetch("GET", "/inventory/v1/properties", headers=headers)
        found = parse_object(answer.body).get("properties") if answer.body else []
        names = [str(one.get("name") or one.get("id")) for one in found or ()]
        return f"The credentials open {', '.join(names) or 'no property'}."
