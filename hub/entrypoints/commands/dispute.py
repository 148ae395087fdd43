"""`hub dispute …`: lines of a statement that somebody says are wrong, until they are decided."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.entrypoints.commands.edge import committed, only_read
from hub.programme.queries import business_by_code, businesses
from hub.settlement.add_dispute_message import add_dispute_message
from hub.settlement.disputes import Dispute, DisputeFilter, disputes, messages
from hub.settlement.open_dispute import open_dispute
from hub.settlement.queries import period_by_code
from hub.settlement.resolve_dispute import resolve_dispute
from hub.settlement.withdraw_dispute import withdraw_dispute
from hub.units import Money

MOST = 1000
Number = Annotated[int, typer.Argument(min=1, help="the dispute's number")]
Who = Annotated[str, typer.Option("--as", help="who does it; it is kept")]
Whose = Annotated[str, typer.Option("--business", help="for which business, by its code")]
Reason = Annotated[str, typer.Option(help="why; it is kept")]
Key = Annotated[str | None, typer.Option(help="the same key again is the same request")]


def list_(
    all_: Annotated[bool, typer.Option("--all", help="those that ended, too")] = False,
) -> None:
    """Show open disputes, or all, with what was said last."""

    async def work(db: AsyncConnection) -> tuple[list[Dispute], dict[int, str], dict[int, str]]:
        only = DisputeFilter(states=None if all_ else ("open",))
        found = await disputes(db, only=only, first=MOST)
        said = await messages(db, dispute_ids=[one.dispute_id for one in found])
        return (
            found,
            {number: heard[-1].body for number, heard in said.items() if heard},
            {b.business_id: b.code for b in await businesses(db)},
        )

    found, last, codes = only_read(work)
    table = Table("no.", "period", "of", "owes", "lines", "held back", "state", "why", "last said")
    for one in found:
        held = "" if one.held_minor is None else str(Money(one.held_minor, one.currency))
        table.add_row(
            str(one.dispute_id),
            one.period,
            codes[one.business_id],
            f"{codes[one.debtor_id]} > {codes[one.creditor_id]}",
            str(one.lines),
            held,
            one.state,
            one.reason,
            last.get(one.dispute_id, ""),
        )
    Console().print(table)


def open_(
    period: Annotated[str, typer.Argument(help="a month or a day: 2026-11, 2026-11-03")],
    lines: Annotated[list[int], typer.Argument(help="the lines' numbers")],
    *,
    business: Whose,
    who: Who,
    reason: Reason,
    key: Key = None,
) -> None:
    """Dispute lines in a business's name; somebody else decides."""

    async def work(db: AsyncConnection) -> Dispute:
        return await open_dispute(
            db,
            period_id=(await period_by_code(db, period)).period_id,
            line_ids=lines,
            business_id=(await business_by_code(db, business)).business_id,
            reason=reason,
            actor=who,
            idempotency_key=key or str(uuid4()),
            now=now(),
        )

    _show(work)


def say(
    number: Number,
    body: Annotated[str, typer.Argument(help="what is said")],
    *,
    who: Who,
    business: Annotated[
        str | None, typer.Option(help="for which side; unsaid: for the group's finance")
    ] = None,
    key: Key = None,
) -> None:
    """Say something in a dispute."""

    async def work(db: AsyncConnection) -> None:
        side = None if business is None else (await business_by_code(db, business)).business_id
        await add_dispute_message(
            db,
            dispute_id=number,
            business_id=side,
            body=body,
            actor=who,
            idempotency_key=key or str(uuid4()),
            now=now(),
        )

    committed(work)
    typer.echo(f"said in dispute {number}")


def withdraw(number: Number, *, business: Whose, who: Who, reason: Reason) -> None:
    """Let the lines stand, for the business that disputes them."""

    async def work(db: AsyncConnection) -> Dispute:
        return await withdraw_dispute(
            db,
            dispute_id=number,
            business_id=(await business_by_code(db, business)).business_id,
            reason=reason,
            actor=who,
            now=now(),
        )

    _show(work)


def resolve(
    number: Number,
    *,
    upheld: Annotated[bool, typer.Option("--uphold/--reject", help="whether the lines are wrong")],
    who: Who,
    reason: Reason,
) -> None:
    """Decide a dispute, for the group's finance; not for who opened it."""

    async def work(db: AsyncConnection) -> Dispute:
        return await resolve_dispute(
            db, dispute_id=number, upheld=upheld, reason=reason, actor=who, now=now()
        )

    _show(work)


def _show(work: Callable[[AsyncConnection], Awaitable[Dispute]]) -> None:
    found = committed(work)
    typer.echo(f"dispute {found.dispute_id} of {found.period} is {found.state}")
