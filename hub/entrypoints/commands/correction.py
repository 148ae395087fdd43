"""`hub correction …`: what was settled wrongly is put right by the next close."""

from decimal import Decimal, InvalidOperation
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.db.keyset import Stretch
from hub.entrypoints.commands.edge import committed, only_read
from hub.errors import Malformed
from hub.programme.queries import business_by_code, businesses
from hub.settlement.approve_correction import approve_correction
from hub.settlement.corrections import Correction, corrections
from hub.settlement.propose_correction import propose_correction
from hub.settlement.reject_correction import reject_correction

MOST = 1000
Number = Annotated[int, typer.Argument(min=1, help="the correction's number")]
Who = Annotated[str, typer.Option("--as", help="who does it; it is kept")]
Reason = Annotated[str, typer.Option(help="why; it is kept")]


def list_(
    all_: Annotated[bool, typer.Option("--all", help="those that are decided, too")] = False,
) -> None:
    """Show the corrections that wait for a second person, or all."""

    async def work(db: AsyncConnection) -> tuple[list[Correction], dict[int, str]]:
        states = ("proposed", "approved", "rejected") if all_ else ("proposed",)
        found = await corrections(db, states=states, stretch=Stretch(MOST))
        return found, {b.business_id: b.code for b in await businesses(db)}

    found, codes = only_read(work)
    table = Table("no.", "owes", "more by", "points", "state", "proposed by", "why")
    for one in found:
        table.add_row(
            str(one.correction_id),
            f"{codes[one.debtor_id]} > {codes[one.creditor_id]}",
            f"{one.currency} {one.amount.normalize():f}",
            str(one.points),
            one.state,
            one.maker,
            one.reason,
        )
    Console().print(table)


def propose(
    debtor: Annotated[str, typer.Argument(help="the code of the business that owes")],
    creditor: Annotated[str, typer.Argument(help="the code of the business that is owed")],
    amount: Annotated[str, typer.Argument(help="how much more, in major units; --less: less")],
    *,
    currency: Annotated[str, typer.Option(help="ISO 4217")],
    who: Who,
    reason: Reason,
    less: Annotated[bool, typer.Option("--less", help="it owes that much less")] = False,
    points: Annotated[int, typer.Option(help="points more or fewer")] = 0,
    line: Annotated[int | None, typer.Option(help="the line that it corrects")] = None,
    key: Annotated[str | None, typer.Option(help="the same key again is the same request")] = None,
) -> None:
    """Propose that a debtor owes more, or less; somebody else approves."""
    try:
        more = Decimal(amount)
    except InvalidOperation:
        raise Malformed("an amount is a number: 12.34", field="amount") from None

    async def work(db: AsyncConnection) -> Correction:
        return await propose_correction(
            db,
            debtor_id=(await business_by_code(db, debtor)).business_id,
            creditor_id=(await business_by_code(db, creditor)).business_id,
            currency=currency,
            amount=-more if less else more,
            points=points,
            line_id=line,
            reason=reason,
            actor=who,
            idempotency_key=key or str(uuid4()),
            now=now(),
        )

    _say(committed(work))


def approve(number: Number, *, who: Who) -> None:
    """Let a correction be a line of the next close; not for who proposed it."""
    _say(committed(
        lambda db: approve_correction(db, correction_id=number, actor=who, now=now())
    ))  # fmt: skip


def reject(number: Number, *, who: Who, reason: Reason) -> None:
    """End a correction without effect."""
    _say(committed(
        lambda db: reject_correction(
            db, correction_id=number, reason=reason, actor=who, now=now()
        )
    ))  # fmt: skip


def _say(found: Correction) -> None:
    typer.echo(f"correction {found.correction_id} is {found.state}")
