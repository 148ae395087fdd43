"""`hub intake list` and `hub intake replay`: look after what came in."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.entrypoints.commands.edge import committed
from hub.errors import Malformed
from hub.intake.queries import DeliveryView, counts, deliveries
from hub.intake.replay import replay as replay_deliveries

_LARGEST_ID = 2**63 - 1
STATES = ("pending", "done", "refused", "dead")


def list_(
    state: Annotated[str | None, typer.Option(help="pending, done, refused or dead")] = None,
    connection: Annotated[str | None, typer.Option(help="only of this connection")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="how many at most")] = 50,
) -> None:
    """List deliveries, newest first, with the reason of those that had no effect."""
    if state is not None and state not in STATES:
        raise Malformed(f"a state is one of {', '.join(STATES)}", field="state")

    async def read(db: AsyncConnection) -> tuple[list[DeliveryView], dict[str, int]]:
        found = await deliveries(db, state=state, connection=connection, limit=limit)
        return found, await counts(db)

    found, totals = committed(read)
    table = Table("id", "connection", "topic", "state", "received", "field", "reason")
    for one in found:
        table.add_row(
            str(one.delivery_id),
            one.connection,
            one.topic,
            one.state,
            f"{one.received_at:%Y-%m-%d %H:%M:%S}",
            one.field,
            one.reason,
        )
    console = Console()
    console.print(table)
    console.print(", ".join(f"{totals.get(state, 0)} {state}" for state in STATES))


def replay(
    ids: Annotated[
        list[int] | None, typer.Argument(min=1, max=_LARGEST_ID, help="deliveries to work on again")
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="all dead letters")] = False,
) -> None:
    """Work on deliveries again from their raw bodies. What was posted is not posted twice."""
    if not ids and not dead:
        raise Malformed("name deliveries, or say --dead for all dead letters", field="ids")
    found = committed(
        lambda db: replay_deliveries(db, now=now(), delivery_ids=ids or (), dead=dead)
    )
    typer.echo(f"deliveries that will be worked on again: {found}")
