"""How OPERA Cloud tells what happened. Facts: docs.oracle.com, "Oracle Hospitality Integration
Platform", and the specifications that Oracle publishes (UPL).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from connectors.hotel.ohip.config import OhipConfig
from connectors.hotel.ohip.payload import ProfileSnapshot, ReservationState, StaySnapshot
from connectors.hotel.ohip.people import profile_changed
from connectors.hotel.ohip.reading import ENDED, decode_body
from connectors.hotel.ohip.stay import stay_facts
from connectors.hotel.ohip.streaming import place_of, subscribe, unique_id
from connectors.hotel.ohip.upstream import (
    STREAMS,
    ask,
    authorize,
    fetch_page,
    fetch_profile,
    fetch_stay,
)
from hub.connector import (
    CanonicalEvent,
    Connection,
    Delivery,
    FactKey,
    Inbound,
    Outcome,
    Page,
    Place,
    RateBudget,
    Refused,
    ReplayProtection,
    Reply,
    Sessions,
    SourceEvent,
    Spec,
    Subscription,
    UpstreamClient,
    parse_object,
    read_as,
    require_match,
    token_given,
)
from hub.errors import Malformed


class Ohip:
    """The dialect. OPERA pushes nothing: the hub takes business events off a queue that forgets
    them, or listens to the streaming API, whose messages a relay may post here too. All are thin,
    and what they say of a stay is never believed: it only makes the hub ask OPERA itself.
    """

    spec = Spec(
        name="ohip",
        title="OPERA Cloud (OHIP)",
        config=OhipConfig,
        replay_protection=ReplayProtection.DEDUP_ID,
        acknowledge_within_seconds=5,
        thin=True,
        poll_seconds=60,
        rate_budget=RateBudget(requests=5, per_seconds=1),
    )
    streams = STREAMS

    def __init__(self) -> None:
        self._sessions: Sessions[dict[str, str]] = Sessions()

    def verify(self, inbound: Inbound, connection: Connection, now: datetime) -> Delivery:
        """Check the bearer token, or the token in the URL; see Connector.verify."""
        require_match(
            token_given(inbound, connection.config.token_parameter),
            connection.secrets,
            what="the token",
        )
        try:
            message = parse_object(inbound.body)
        except Malformed:  # authentic all the same: it is stored, and decode will name the field
            return Delivery(dedup_id=None)
        return Delivery(dedup_id=unique_id(message))

    def acknowledge(self, outcome: Outcome) -> Reply:
        """What is not a 2xx the relay sends again, from the offset that it keeps."""
        if outcome is Outcome.ACCEPTED:
            return Reply(status=204)
        if outcome is Outcome.SIGNATURE_INVALID:
            return Reply(status=401)
        return Reply(status=503)

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        """Read a page of the queue, a streamed message, or reservations; see Connector.decode."""
        return decode_body(parse_object(body))

    def map(
        self, event: SourceEvent, posted: Collection[FactKey], connection: Connection
    ) -> Sequence[CanonicalEvent]:
        """Yield what `event` says beyond the facts in `posted`; see Connector.map."""
        if event.entity == "profile":
            found = profile_changed(read_as(ProfileSnapshot, event.snapshot), event, connection)
            return [] if found.fact in posted else [found]
        head = read_as(ReservationState, event.snapshot).reservation
        if head.reservation_status not in ENDED:
            raise Refused(f"reservation is {head.reservation_status}")
        return stay_facts(read_as(StaySnapshot, event.snapshot), event, posted, connection)

    async def hydrate(
        self, client: UpstreamClient, event: SourceEvent, connection: Connection
    ) -> Mapping[str, Any]:
        """Ask OPERA for what an event only points at."""
        hotel, _, number = event.entity_id.partition("/")
        if hotel not in connection.config.hotels:
            raise Refused(f"{hotel} is no hotel of this business")

        async def fetch(headers: Mapping[str, str]) -> Mapping[str, Any]:
            if event.entity == "profile":
                return {"profile": await fetch_profile(client, headers, hotel, number)}
            return await fetch_stay(client, headers, hotel, number)

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
        """Empty the queue of events, or search reservations by their last change."""
        config = connection.config
        return await fetch_page(client, config, stream, cursor, since=since, until=until)

    def listens(self, connection: Connection) -> bool:
        """Whether a chain is configured; without one, its queue tells."""
        return bool(connection.config.chain_code)

    async def subscription(
        self, client: UpstreamClient, cursor: str | None, connection: Connection
    ) -> Subscription:
        """Subscribe to the chain's events with a token of its own."""
        return await subscribe(client, cursor, connection.config)

    def place(self, body: bytes) -> Place:
        """Read a message's offset and its unique id."""
        return place_of(body)

    async def check(self, client: UpstreamClient, connection: Connection) -> str:
        """Say which hotels the credentials open; the queue is left alone, for it would forget."""
        config: OhipConfig = connection.config
        if not config.hotels:
            return "The credentials open no hotel: none is configured."
        headers = await authorize(client, config)
        for hotel in config.hotels:
            path = f"/rsv/v1/hotels/{quote(hotel, safe='')}/reservations?limit=1"
            await ask(client, headers, hotel, path)
        return f"The credentials open {', '.join(config.hotels)}."
