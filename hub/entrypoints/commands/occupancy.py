"""`hub programme occupancy BUSINESS FILE`: how full a house was, day by day."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.connector.tables import read_table
from hub.entrypoints.commands.edge import committed
from hub.errors import Malformed
from hub.programme.queries import business_by_code
from hub.settlement.state_occupancy import state_occupancy


def occupancy(
    business: Annotated[str, typer.Argument(help="the business's code")],
    file: Annotated[Path, typer.Argument(help="CSV or XLSX with the columns day and percent")],
    who: Annotated[str, typer.Option("--as", help="who says so; it is kept")],
) -> None:
    """State how many of a hundred rooms were taken on each day: all rows of FILE, or none."""
    rows = list(_rows(file))

    async def work(db: AsyncConnection) -> None:
        house = await business_by_code(db, business)
        for day, percent in rows:
            await state_occupancy(
                db,
                business_id=house.business_id,
                day=day,
                percent=percent,
                actor=who,
                now=now(),
            )

    committed(work)
    typer.echo(f"{business}: {len(rows)} days")


def _rows(file: Path) -> Iterator[tuple[date, Decimal]]:
    try:
        body = file.read_bytes()
    except OSError as bad:
        raise Malformed(f"{file} cannot be read: {bad}", field="file") from bad
    heading, rows = read_table(file.suffix.lstrip("."), body)
    names = [name.strip().lower() for name in heading]
    for name in ("day", "percent"):
        if name not in names:
            raise Malformed(f"{file} has no column {name}", field=name)
    for number, row in enumerate(rows, start=2):
        day, percent = (row[names.index(name)].strip() for name in ("day", "percent"))
        try:
            yield date.fromisoformat(day), Decimal(percent.removesuffix("%"))
        except (ValueError, InvalidOperation):
            raise Malformed(
                f"row {number}: a day as 2026-11-03 and a percentage were expected, not "
                f"{day!r} and {percent!r}",
                field="file",
            ) from None
