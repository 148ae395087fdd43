"""`hub intake …`: look after what came in, and ask for what did not."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.entrypoints.commands.edge import committed
from hub.errors import Malformed
from hub.intake.queries import (
    DeliveryFilter,
    DeliveryState,
    DeliveryView,
    all_deliveries,
    counts,
)
from hub.intake.replay import replay as replay_deliveries

_LARGEST_ID = 2**63 - 1

State = Annotated[str | None, typer.Option(help="pending, done, refused or dead")]
Connection = Annotated[str | None, typer.Option(help="only of this connection")]
Topic = Annotated[str | None, typer.Option(help="only of this topic")]
Code = Annotated[str | None, typer.Option(help="only with this code of a reason, like malformed")]
Place = Annotated[str | None, typer.Option("--field", help="only where this field was wrong")]
Reason = Annotated[str | None, typer.Option(help="only with these words in the reason")]
Since = Annotated[datetime | None, typer.Option(help="only received since then (UTC)")]
Until = Annotated[datetime | None, typer.Option(help="only received before then (UTC)")]


def list_(
    *,
    state: State = None,
    connection: Connection = None,
    topic: Topic = None,
    code: Code = None,
    field: Place = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="how many at most")] = 50,
) -> None:
    """List deliveries, newest first, with the reason of those that had no effect."""
    search = _search(
        state=state,
        connection=connection,
        topic=topic,
        reason_code=code,
        reason_field=field,
        reason=reason,
        since=since,
        until=until,
    )

    async def read(db: AsyncConnection) -> tuple[list[DeliveryView], dict[str, int]]:
        return await all_deliveries(db, only=search, limit=limit), await counts(db)

    found, totals = committed(read)
    table = Table("id", "connection", "topic", "state", "received", "field", "reason")
    for one in found:
        table.add_row(
            str(one.delivery_id),
            one.connection,
            one.topic,
            one.state,
            f"{one.received_at:%Y-%m-%d %H:%M:%S}",
            one.reason_field,
            one.reason,
        )
    console = Console()
    console.print(table)
    console.print(", ".join(f"{totals.get(state, 0)} {state}" for state in DeliveryState))


def replay(
    ids: Annotated[
        list[int] | None, typer.Argument(min=1, max=_LARGEST_ID, help="deliveries to work on again")
    ] = None,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="dead letters; all, or those meant")] = False,
    state: State = None,
    connection: Connection = None,
    topic: Topic = None,
    code: Code = None,
    field: Place = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Work on deliveries again from their raw bodies. What was posted is not posted twice."""
    if dead and state not in (None, "dead"):
        raise Malformed(f"--dead says the state already; it is not {state}", field="state")
    state = "dead" if dead else state
    search = _search(
        state=state,
        connection=connection,
        topic=topic,
        reason_code=code,
        reason_field=field,
        reason=reason,
        since=since,
        until=until,
    )
    searching = search != DeliveryFilter()
    if not ids and not searching:
        raise Malformed(
            "name deliveries, say --dead for all dead letters, or say which are meant by"
            " --connection, --code, --field, --reason, --since",
            field="ids",
        )
    found = committed(
        lambda db: replay_deliveries(
            db, now=now(), delivery_ids=ids or (), search=search if searching else None
        )
    )
    typer.echo(f"deliveries that will be worked on again: {found}")


def _search(
    *, state: str | None, since: datetime | None, until: datetime | None, **said: Any
) -> DeliveryFilter:
    if state is not None and state not in tuple(DeliveryState):
        raise Malformed(f"a state is one of {', '.join(DeliveryState)}", field="state")
    return DeliveryFilter(
        states=None if state is None else (DeliveryState(state),),
        received_from=utc(since),
        received_before=utc(until),
        **said,
    )


def utc(instant: datetime | None) -> datetime | None:
    """Read an instant that was typed without a zone as UTC."""
    if instant is None or instant.tzinfo is not None:
        return instant
    return instant.replace(tzinfo=UTC)
