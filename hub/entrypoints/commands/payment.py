"""`hub payment …`: prepare, release and order what a period comes to."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date, now
from hub.config import load_settings
from hub.crypto.keyring import load
from hub.entrypoints.commands.edge import committed, only_read
from hub.programme.queries import businesses, programme
from hub.settlement.mark_paid import mark_paid
from hub.settlement.order_payments import order_payments
from hub.settlement.payments import Payment, payments
from hub.settlement.prepare_payments import prepare_payments
from hub.settlement.queries import Period, period_by_code
from hub.settlement.release_payments import release_payments
from hub.units import Money

Code = Annotated[str, typer.Argument(help="a month or a day: 2026-11, 2026-11-03")]
Who = Annotated[str, typer.Option("--as", help="who does it; it is kept")]


def prepare(period: Code, who: Who) -> None:
    """Prepare the payments of an issued period; somebody else releases them."""

    async def work(db: AsyncConnection, of: Period) -> list[Payment]:
        today = business_date(now(), (await programme(db)).time_zone)
        return await prepare_payments(db, period_id=of.period_id, actor=who, today=today, now=now())

    _show(period, work)


def release(period: Code, who: Who) -> None:
    """Release the payments to the bank; not for who prepared them."""
    _show(period, lambda db, of: release_payments(
        db, period_id=of.period_id, actor=who, now=now()
    ))  # fmt: skip


def list_(period: Code) -> None:
    """Show a period's payments."""

    async def work(db: AsyncConnection, of: Period) -> list[Payment]:
        return (await payments(db, period_ids=[of.period_id]))[of.period_id]

    _show(period, work)


def file(
    period: Code, out: Annotated[Path, typer.Option(help="where to write the pain.001 file")]
) -> None:
    """Write the released payments as the file that the bank pays by (pain.001.001.09)."""
    keyring = load(load_settings().keyring_path)

    async def work(db: AsyncConnection) -> bytes:
        return await order_payments(db, period=await period_by_code(db, period), keyring=keyring)

    order = only_read(work)
    # It holds whole account numbers: for its owner's eyes only.
    out.touch(mode=0o600)
    out.write_bytes(order)
    typer.echo(f"the payments of {period} are in {out}")


def paid(
    end_to_end_id: Annotated[str, typer.Argument(help="the payment's")],
    who: Who,
    reference: Annotated[str, typer.Option(help="the bank's own reference")],
) -> None:
    """Mark a payment as paid; the last one makes its period paid."""

    async def work(db: AsyncConnection) -> Payment:
        return await mark_paid(
            db, end_to_end_id=end_to_end_id, reference=reference, actor=who, now=now()
        )

    found = committed(work)
    typer.echo(f"payment {found.end_to_end_id} is {found.state}")


def _show(code: str, step: Callable[[AsyncConnection, Period], Awaitable[list[Payment]]]) -> None:
    async def work(db: AsyncConnection) -> tuple[list[Payment], dict[int, str]]:
        made = await step(db, await period_by_code(db, code))
        return made, {b.business_id: b.code for b in await businesses(db)}

    made, codes = committed(work)
    table = Table("payment", "from", "to", "amount", "state", title=f"Payments of {code}")
    for one in made:
        amount = f"{one.currency} {Money(one.amount_minor, one.currency)}"
        sides = (codes[one.debtor_id], codes[one.creditor_id])
        table.add_row(one.end_to_end_id, *sides, amount, one.state)
    Console().print(table)
