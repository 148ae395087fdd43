"""`hub benefit grant CAMPAIGN`, `hub benefit report CAMPAIGN`: a benefit for many at once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import NullPool

from hub.benefits.campaigns.grant_to_many import GrantedToMany, grant_to_many
from hub.benefits.campaigns.members_file import members_of, records
from hub.benefits.campaigns.open_campaign import Campaign, open_campaign
from hub.benefits.campaigns.preview import Preview, preview
from hub.benefits.campaigns.report import report as reported
from hub.clock import business_date, now
from hub.config import load_settings
from hub.db.engine import make_engine
from hub.entrypoints.commands.edge import committed, only_read
from hub.entrypoints.commands.errors_file import Wrong, write_errors
from hub.errors import Malformed
from hub.programme.queries import programme
from hub.units import exponent

CHUNK = 5_000
_Cells = dict[str, str]


@dataclass(slots=True)
class _Told:
    """What the chunks came to."""

    granted: int = 0
    had: int = 0
    uses: int = 0
    most_minor: int = 0
    currency: str = ""
    wrong: list[Wrong] = field(default_factory=list)

    def add(self, chunk: GrantedToMany | Preview) -> None:
        """Count a chunk."""
        self.had += chunk.had
        if isinstance(chunk, GrantedToMany):
            self.granted += chunk.granted
            return
        self.granted += chunk.members
        self.uses += chunk.uses
        self.most_minor += chunk.most_minor
        self.currency = chunk.currency


def grant(
    campaign: Annotated[str, typer.Argument(help="the campaign's short name")],
    *,
    benefit: Annotated[str, typer.Option("--benefit", help="the benefit's short name")],
    file: Annotated[
        Path, typer.Option("--file", help="CSV in UTF-8: member, or business and external_id")
    ],
    until: Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="the last day")],
    reason: Annotated[str, typer.Option("--reason", help="why; members see it")],
    by: Annotated[str, typer.Option("--by", help="who grants it")],
    quantity: Annotated[int, typer.Option("--quantity", min=1, help="uses for each")] = 1,
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="the first day; unsaid: today"),
    ] = None,
    funder: Annotated[
        str | None, typer.Option("--funder", help="who pays; unsaid: the benefit's own funder")
    ] = None,
    only_preview: Annotated[
        bool, typer.Option("--preview", help="only say whom it would be granted, and the cost")
    ] = False,
) -> None:
    """Grant uses of a benefit to the members of a file, once for each and campaign.

    Cut off and run again it grants what is missing. Rows that lead to nobody are put into
    FILE.errors.csv.
    """
    at = now()

    async def opening(db: AsyncConnection) -> Campaign:
        today = business_date(at, (await programme(db)).time_zone)
        return await open_campaign(
            db, code=campaign, benefit_code=benefit, quantity=quantity,
            starts_on=since.date() if since else today,
            ends_on=until.date(), reason=reason, actor=by, now=at, funder=funder,
        )  # fmt: skip

    opened = None if only_preview else committed(opening)

    async def chunk(db: AsyncConnection, ids: list[int]) -> GrantedToMany | Preview:
        if opened is not None:
            return await grant_to_many(db, campaign=opened, member_ids=ids, actor=by, now=now())
        return await preview(
            db, code=campaign, benefit_code=benefit, quantity=quantity, member_ids=ids, now=at
        )

    console = Console(highlight=False, soft_wrap=True)
    told = asyncio.run(_chunks(load_settings().require_database_url(), file, chunk, console))
    if opened is None:
        console.print(
            f"would be granted: {told.granted} members, {told.uses} uses; had it already: "
            f"{told.had}; at most {_major(told.most_minor, told.currency)}"
        )
    else:
        console.print(f"granted: {told.granted} members; had it already: {told.had}")
    if (errors := write_errors(file, told.wrong)) is not None:
        console.print(f"{len(told.wrong)} rows lead to nobody: they are in {errors}")


def _major(minor: int, currency: str) -> str:
    """Write an amount in major units with its currency; nobody's is none."""
    return f"{Decimal(minor).scaleb(-exponent(currency))} {currency}" if currency else "0"


_Work = Callable[[AsyncConnection, list[int]], Awaitable[GrantedToMany | Preview]]


async def _chunks(url: str, file: Path, work: _Work, console: Console) -> _Told:
    told = _Told()
    seen: set[int] = set()
    engine = make_engine(url, poolclass=NullPool)
    try:
        with (
            file.open(newline="", encoding="utf-8-sig") as source,
            Progress(console=console, transient=True) as bar,
        ):
            task = bar.add_task("members", total=None)
            numbered = enumerate(records(source), start=1)
            while rows := dict(islice(numbered, CHUNK)):
                told.add(await _one(engine, rows, work, told, seen))
                bar.advance(task, len(rows))
    except OSError as bad:
        raise Malformed(f"{file} cannot be read: {bad.strerror}", field="file") from bad
    finally:
        await engine.dispose()
    return told


async def _one(
    engine: AsyncEngine, rows: dict[int, _Cells], work: _Work, told: _Told, seen: set[int]
) -> GrantedToMany | Preview:
    async with engine.begin() as db:
        ids, bad = await members_of(db, rows)
        told.wrong += [(rows[one.number], one.number, one.field, one.reason) for one in bad]
        fresh = [member_id for member_id in ids if member_id not in seen]
        seen.update(fresh)
        return await work(db, fresh)


def report(
    campaign: Annotated[str, typer.Argument(help="the campaign's short name")],
) -> None:
    """Say what became of a campaign's grants, and what they have cost its funder."""
    found = only_read(lambda db: reported(db, code=campaign))
    costs = ", ".join(f"{_major(one.minor, one.currency)}" for one in found.costs)
    typer.echo(
        f"{campaign}: {found.campaign.quantity} x {found.campaign.benefit} until "
        f"{found.campaign.ends_on}, paid by {found.campaign.funder}\n"
        f"{found.members} members, {found.granted} uses: {found.used} used, {found.held} held, "
        f"{found.left} left, {found.ended} ended; cost so far: {costs or 'none'}"
    )
