"""How Mews delivers and what it answers. Facts: docs.mews.com, "Connector API"."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from connectors.hotel.mews.config import MewsConfig
from connectors.hotel.mews.payload import Customer, ReservationState, StaySnapshot
from connectors.hotel.mews.people import profile_changed
from connectors.hotel.mews.pulling import STREAMS, fetch_page
from connectors.hotel.mews.reading import decode_body
from connectors.hotel.mews.stay import stay_facts
from connectors.hotel.mews.upstream import ENDED, ask, fetch_customer, fetch_stay
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
    parse_object,
    read_as,
    require_match,
    require_object,
)


class Mews:
    """The dialect. Nothing signs the body: a secret token in the URL is all there is, and the
    events are thin, without id or time. What a delivery says is therefore never believed: it only
    makes the hub ask Mews itself.
    """

    spec = Spec(
        name="mews",
        title="Mews",
        config=MewsConfig,
        replay_protection=ReplayProtection.NONE,
        acknowledge_within_seconds=5,
        thin=True,
        rate_budget=RateBudget(requests=200, per_seconds=30),
    )
    streams = tuple(STREAMS)

    def verify(self, inbound: Inbound, connection: Connection, now: datetime) -> Delivery:
        """Check the token in the URL's query or at the end of its path; see Connector.verify."""
        url = urlsplit(inbound.url)
        in_query = parse_qs(url.query).get(connection.config.token_parameter)
        token = in_query[0] if in_query else url.path.rsplit("/", 1)[-1]
        require_match(token, connection.secrets, what="the token in the URL")
        return Delivery(dedup_id=None)

    def acknowledge(self, outcome: Outcome) -> Reply:
        """Any 2xx settles the message; an error is tried again after a few minutes."""
        if outcome is Outcome.ACCEPTED:
            return Reply(status=204)
        if outcome is Outcome.SIGNATURE_INVALID:
            return Reply(status=401)
        return Reply(status=503)

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        """Read a webhook message or a page of the API; see Connector.decode."""
        return decode_body(parse_object(body))

    def map(
        self, event: SourceEvent, posted: Collection[FactKey], connection: Connection
    ) -> Sequence[CanonicalEvent]:
        """Yield what `event` says beyond the facts in `posted`; see Connector.map."""
        if event.entity == "customer":
            found = [profile_changed(read_as(Customer, event.snapshot), connection)]
        else:
            head = read_as(ReservationState, event.snapshot).reservation
            if head.state not in ENDED:
                raise Refused(f"reservation is {head.state}")
            found = stay_facts(read_as(StaySnapshot, event.snapshot), connection)
        return [one for one in found if one.fact not in posted]

    async def hydrate(
        self, client: UpstreamClient, event: SourceEvent, connection: Connection
    ) -> Mapping[str, Any]:
        """Ask Mews for what an event only points at."""
        if event.entity == "customer":
            return await fetch_customer(client, connection.config, event.entity_id)
        return await fetch_stay(client, connection.config, event.entity_id)

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
        """Ask for the reservations, order items and customers that changed; see Pulling.pull."""
        config = connection.config
        return await fetch_page(client, config, stream, cursor, since=since, until=until)

    async def check(self, client: UpstreamClient, connection: Connection) -> str:
        """Say which enterprise the tokens open."""
        answer = await ask(client, connection.config, "configuration/get")
        return f"The tokens open {require_object(answer, 'Enterprise').get('Name')}."
