"""`hub reconcile …`: what stands open between a book and the hub, and what people say of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.db.keyset import Stretch
from hub.entrypoints.commands.edge import committed, only_read
from hub.entrypoints.commands.errors_file import write_sheet
from hub.programme.queries import business_by_code, businesses
from hub.reconciliation.adjust_break import adjust_break
from hub.reconciliation.both_sides import SideRow, rows_of_breaks, rows_of_matches
from hub.reconciliation.breaks import (
    BREAKS,
    KINDS,
    STATES,
    UNRESOLVED,
    Break,
    break_by_id,
    break_events,
)
from hub.reconciliation.breaks import breaks as known_breaks
from hub.reconciliation.codes import Rule
from hub.reconciliation.confirm_match import confirm_match
from hub.reconciliation.investigate_break import investigate_break
from hub.reconciliation.match_break import match_break
from hub.reconciliation.matches import Match, matches_of_breaks
from hub.reconciliation.matches import suggestions as known_suggestions
from hub.reconciliation.reject_match import reject_match
from hub.reconciliation.reopen_break import reopen_break
from hub.reconciliation.resolve_break import resolve_break
from hub.reconciliation.verdicts import Verdict, verdicts
from hub.reconciliation.write_off_break import write_off_break
from hub.units import Money

Who = Annotated[str, typer.Option("--as", help="who does it; it is kept")]
Reason = Annotated[str, typer.Option(help="why; it is kept")]
Number = Annotated[int, typer.Argument(metavar="BREAK", help="the break's number")]
MatchNumber = Annotated[int, typer.Argument(metavar="MATCH", help="the match's number")]
Business = Annotated[str | None, typer.Option(help="the code of one business")]
PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    codes: Mapping[int, str]
    breaks: Sequence[Break]
    verdicts: Mapping[int, Verdict]
    rows: Mapping[int, Sequence[SideRow]]


def breaks(
    *,
    business: Business = None,
    kind: Annotated[list[str] | None, typer.Option(help=", ".join(KINDS))] = None,
    closed: Annotated[bool, typer.Option("--closed", help="those that are over as well")] = False,
    out: Annotated[Path | None, typer.Option(help="write them as CSV")] = None,
    first: Annotated[int, typer.Option(help="how many to show")] = 50,
) -> None:
    """Show breaks, oldest first: `alone` says who of hub and both books stands alone."""
    states = STATES if closed else UNRESOLVED

    async def work(db: AsyncConnection) -> _Seen:
        ids = await _ids(db, business)
        found: list[Break] = []
        most = first if out is None else 2**31
        while len(found) < most:
            page = await known_breaks(
                db,
                business_ids=ids,
                states=states,
                kinds=kind,
                first=min(PAGE, most - len(found)),
                after=BREAKS.place(found[-1]) if found else None,
            )
            found += page
            if not page:
                break
        numbers = [one.break_id for one in found]
        return _Seen(
            codes={b.business_id: b.code for b in await businesses(db)},
            breaks=found,
            verdicts=await verdicts(db, break_ids=numbers),
            rows=await rows_of_breaks(db, break_ids=numbers),
        )

    seen = only_read(work)
    heading = ("break", "book", "kind", "state", "day", "with", "points", "amount", "alone",
               "owner", "days", "rows")  # fmt: skip
    told = [_told(one, seen) for one in seen.breaks]
    if out is not None:
        write_sheet(out, heading, told)
        typer.echo(f"{len(told)} breaks are in {out}")
        return
    table = Table(*heading, title="Breaks")
    for row in told:
        table.add_row(*map(str, row))
    Console().print(table)


def _told(one: Break, seen: _Seen) -> list[object]:
    return [
        one.break_id,
        f"{seen.codes[one.business_id]} {one.role}",
        one.kind,
        one.state if one.resolution is None else one.resolution,
        one.day,
        "" if one.counterparty_id is None else seen.codes[one.counterparty_id],
        "" if one.points is None else one.points,
        _amount(one.amount_minor, one.currency),
        seen.verdicts[one.break_id].value,
        one.owner or "",
        one.age_days(now()),
        "; ".join(
            ("hub " if row.of_hub else "") + (row.reference or row.transaction or str(row.row_id))
            for row in seen.rows[one.break_id]
        ),
    ]


def _amount(minor: int | None, currency: str | None) -> str:
    if minor is None or currency is None:
        return ""
    return f"{Money(minor, currency)} {currency}"


def show(number: Number) -> None:
    """Show a break: its rows on both sides, what is suggested for them, and what became of it."""

    async def work(db: AsyncConnection) -> tuple[_Seen, list[Match], list[str]]:
        one = await break_by_id(db, number)
        rows = await rows_of_breaks(db, break_ids=[number])
        seen = _Seen(
            codes={b.business_id: b.code for b in await businesses(db)},
            breaks=[one],
            verdicts=await verdicts(db, break_ids=[number]),
            rows=rows,
        )
        near = (await matches_of_breaks(db, break_ids=[number]))[number]
        events = (await break_events(db, break_ids=[number]))[number]
        return seen, near, [
            f"{event.at:%Y-%m-%d %H:%M} {event.event} by {event.actor}: {event.note or ''}"
            for event in events
        ]  # fmt: skip

    seen, near, events = only_read(work)
    (one,) = seen.breaks
    console = Console(highlight=False, soft_wrap=True)
    _rows_table(f"Break {number}: {one.kind}, {one.state}", seen.rows[number], seen.codes)
    for match in near:
        console.print(f"match {match.match_id}: {Rule(match.rule).name.lower()}, {match.state}")
    for event in events:
        console.print(event, markup=False)


def _rows_table(title: str, rows: Sequence[SideRow], codes: Mapping[int, str]) -> None:
    table = Table("side", "day", "reference", "transaction", "with", "points", "amount", "from",
                  title=title)  # fmt: skip
    for row in rows:
        table.add_row(
            "hub" if row.of_hub else "book",
            str(row.day),
            row.reference or "",
            row.transaction or "",
            "" if row.counterparty_id is None else codes[row.counterparty_id],
            "" if row.points is None else str(row.points),
            _amount(row.amount_minor, row.currency),
            "" if row.file is None else f"{row.file}, row {row.number}",
        )
    Console().print(table)


def matches(
    *,
    business: Business = None,
    first: Annotated[int, typer.Option(help="how many to show")] = 20,
) -> None:
    """Show what is suggested to belong together, and waits for a person."""

    async def work(
        db: AsyncConnection,
    ) -> tuple[list[Match], dict[int, list[SideRow]], dict[int, str]]:
        ids = await _ids(db, business)
        found = await known_suggestions(db, business_ids=ids, stretch=Stretch(first))
        rows = await rows_of_matches(db, match_ids=[match.match_id for match in found])
        return found, rows, {b.business_id: b.code for b in await businesses(db)}

    found, rows, codes = only_read(work)
    for match in found:
        rule = Rule(match.rule).name.lower()
        title = f"Match {match.match_id} of {codes[match.business_id]}: {rule}, {match.state}"
        _rows_table(title, rows[match.match_id], codes)
    if not found:
        typer.echo("nothing is suggested")


def confirm(match: MatchNumber, who: Who) -> None:
    """Say that the rows of a suggestion belong together."""
    made = committed(lambda db: confirm_match(db, match_id=match, actor=who, now=now()))
    typer.echo(f"match {made.match_id} is {made.state}")


def reject(match: MatchNumber, who: Who, reason: Reason) -> None:
    """Say that rows do not belong together: no rule joins them again."""
    made = committed(
        lambda db: reject_match(db, match_id=match, reason=reason, actor=who, now=now())
    )
    typer.echo(f"match {made.match_id} is {made.state}")


def investigate(
    number: Number,
    who: Who,
    owner: Annotated[str | None, typer.Option(help="who looks into it, if it is not you")] = None,
    note: Annotated[str | None, typer.Option(help="what to keep with it")] = None,
) -> None:
    """Take a break on, or give it to somebody."""
    _changed(lambda db: investigate_break(
        db, break_id=number, owner=owner or who, note=note, actor=who, now=now()
    ))  # fmt: skip


def match_(number: Number, who: Who, reason: Reason) -> None:
    """Say that all rows of a break belong together, within the book's tolerance."""
    made = committed(
        lambda db: match_break(db, break_id=number, reason=reason, actor=who, now=now())
    )
    typer.echo(f"break {number} is over by match {made.match_id}")


def resolve(
    number: Number,
    who: Who,
    reason: Reason,
    how: Annotated[str, typer.Option("--how", help="adjusted or reversed")],
) -> None:
    """Say that a break was accounted for."""
    _changed(lambda db: resolve_break(
        db, break_id=number, resolution=how, reason=reason, actor=who, now=now()
    ))  # fmt: skip


def write_off(number: Number, who: Who, reason: Reason) -> None:
    """Ask for a break to be written off, or agree as a second person."""
    _changed(lambda db: write_off_break(
        db, break_id=number, reason=reason, actor=who, now=now()
    ))  # fmt: skip


def adjust(number: Number, who: Who, reason: Reason) -> None:
    """Propose that what the book says more is owed; somebody else approves the correction."""
    made = committed(
        lambda db: adjust_break(db, break_id=number, reason=reason, actor=who, now=now())
    )
    typer.echo(f"correction {made.correction_id} is {made.state}: {made.amount} {made.currency}")


def reopen(number: Number, who: Who, reason: Reason) -> None:
    """Open a break again that a person closed."""
    _changed(lambda db: reopen_break(
        db, break_id=number, reason=reason, actor=who, now=now()
    ))  # fmt: skip


def _changed(step: Callable[[AsyncConnection], Awaitable[Break]]) -> None:
    one = committed(step)
    asked = f"; {one.write_off_by} asks to write it off" if one.write_off_by else ""
    owner = f", with {one.owner}" if one.owner else ""
    typer.echo(f"break {one.break_id} is {one.state}{owner}{asked if not one.closed_at else ''}")


async def _ids(db: AsyncConnection, business: str | None) -> list[int]:
    if business is not None:
        return [(await business_by_code(db, business)).business_id]
    return [one.business_id for one in await businesses(db)]
