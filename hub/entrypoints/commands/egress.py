"""`hub egress …`: who is told what, and what came of it."""

import asyncio
import secrets
from datetime import datetime
from typing import Annotated, Any

import httpx2
import orjson
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.config import load_settings
from hub.crypto.delivery import open_sealed
from hub.crypto.keyring import load
from hub.db.keyset import Stretch
from hub.egress.events import Written
from hub.egress.queries import (
    EventDeliveryFilter,
    EventDeliveryState,
    PassedOver,
    event_deliveries,
    passed_over,
    subscriptions,
)
from hub.egress.replay import replay as replay_deliveries
from hub.egress.send import TIMEOUT_SECONDS, Answer, Call, send
from hub.egress.subscribe import secrets_place
from hub.entrypoints.commands.edge import committed, only_read
from hub.entrypoints.commands.intake import utc
from hub.errors import Malformed, NotFound, Unavailable

_LARGEST_ID = 2**63 - 1


def list_() -> None:
    """List subscriptions. They are configured by `hub programme apply`."""
    table = Table("subscription", "business", "types", "url", "state", "under way", "given up")
    for one in only_read(subscriptions):
        state = "active" if one.active else f"stopped: {one.stopped_because}"
        counts = str(one.pending), str(one.dead)
        table.add_row(one.code, one.business, ", ".join(one.types), one.url, state, *counts)
    Console().print(table)


def log(
    subscription: Annotated[str | None, typer.Option(help="only of this subscription")] = None,
    state: Annotated[str | None, typer.Option(help="pending, delivered or dead")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="how many at most")] = 50,
) -> None:
    """List what was told, newest first, with what the subscriber answered."""
    if state is not None and state not in tuple(EventDeliveryState):
        raise Malformed(f"a state is one of {', '.join(EventDeliveryState)}", field="state")
    states = None if state is None else (EventDeliveryState(state),)
    only = EventDeliveryFilter(subscription=subscription, states=states)
    found = only_read(lambda db: event_deliveries(db, only=only, stretch=Stretch(limit)))
    table = Table("id", "event", "subscription", "type", "state", "tries", "status", "error")
    for one in found:
        table.add_row(
            str(one.event_delivery_id),
            f"evt_{one.event_id}",
            one.subscription,
            one.type,
            one.state,
            str(one.attempts),
            "" if one.status is None else str(one.status),
            one.error,
        )
    Console().print(table)


def replay(
    ids: Annotated[
        list[int] | None, typer.Argument(min=1, max=_LARGEST_ID, help="lines of the log")
    ] = None,
    subscription: Annotated[
        str | None, typer.Option(help="all that was given up for this subscription")
    ] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--everything", help="what was delivered too: with --subscription")
    ] = False,
    since: Annotated[datetime | None, typer.Option(help="only noted since then (UTC)")] = None,
) -> None:
    """Tell again. Events keep their ids, so that a subscriber knows what it has.

    Of a subscription that was stopped nothing is told again: it is said, and how much.
    """
    if not ids and subscription is None:
        raise Malformed("name lines of the log or a --subscription", field="ids")
    meant: dict[str, Any] = {
        "event_delivery_ids": ids or (),
        "subscription": subscription,
        "since": utc(since),
        "dead_only": not everything,
    }

    async def work(db: AsyncConnection) -> tuple[int, list[PassedOver]]:
        return await replay_deliveries(db, now=now(), **meant), await passed_over(db, **meant)

    found, left_out = committed(work)
    typer.echo(f"events that will be told again: {found}")
    for one in left_out:
        typer.echo(f"{one.stopped}; passed over: {one.deliveries}")


def ping(subscription: Annotated[str, typer.Argument(help="a subscription's code")]) -> None:
    """Send a signed test event to a subscriber, and say what it answered."""
    keyring, at = load(load_settings().keyring_path), now()

    async def read(db: AsyncConnection) -> Call:
        row = (
            await db.execute(
                text("SELECT subscription_id, url, secrets FROM subscription WHERE code = :code"),
                {"code": subscription},
            )
        ).first()
        if row is None:
            raise NotFound(f"there is no subscription {subscription!r}", subscription=subscription)
        plain = open_sealed(keyring, row.secrets, context=secrets_place(subscription))
        body = orjson.dumps({"type": "ping", "timestamp": at, "data": {}})
        event = Written(event_id=0, noted_at=at, body=body)
        # Receivers take each id once, and would pass over the second test of one.
        name = f"evt_ping_{secrets.token_hex(8)}"
        return Call(0, row.subscription_id, row.url, event, tuple(orjson.loads(plain)), name)

    call = only_read(read)

    async def try_it() -> Answer:
        async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as http:
            return await send(http, call=call, now=at)

    answer = asyncio.run(try_it())
    if not answer.delivered:
        raise Unavailable(f"{call.url} {answer.error}")
    typer.echo(f"{call.url} answered {answer.status}")
