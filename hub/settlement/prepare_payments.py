"""Prepare payments: a period's dues become what each pays, for somebody else to release."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.points.checks import named
from hub.programme.queries import businesses
from hub.settlement.accounts import accounts_in_force, clearing_business
from hub.settlement.dues import net_dues
from hub.settlement.life import lock_period, move_on
from hub.settlement.pairing import Transfer, pair_off
from hub.settlement.payments import Payment, payments
from hub.settlement.queries import Period


async def prepare_payments(
    db: AsyncConnection, *, period_id: int, actor: str, today: date, now: datetime
) -> list[Payment]:
    """Write the payments of an issued period, to and from the accounts in force `today`.

    Once prepared they stay: asked again, the same are returned. A period with nothing to pay is
    paid by that. Raises NotFound, Malformed for a name that is none, and Rejected while the period
    is not issued or when a business has no account, naming every one.
    """
    named(actor)
    period = await lock_period(db, period_id)
    made = (await payments(db, period_ids=[period_id]))[period_id]
    if made or period.state == "paid":
        return made
    if period.state != "issued":
        raise Rejected(
            f"period {period.code} is {period.state}: it is paid once it is issued",
            period=period.code,
        )
    nets = await net_dues(db, period_id=period_id)
    transfers = pair_off(nets, clearing_id=await clearing_business(db, on=today))
    if not transfers:
        note = "nothing to pay"
        await move_on(db, period=period, state="paid", actor=actor, note=note, now=now)
    held = await accounts_in_force(db, on=today)
    await _refuse_without_account(db, transfers, held, today)
    for transfer in transfers:
        await db.execute(
            text("""
              INSERT INTO payment (period_id, end_to_end_id, debtor_id, creditor_id, currency,
                amount_minor, debtor_account_id, creditor_account_id, prepared_by, prepared_at)
              VALUES (:period_id, :end_to_end_id, :debtor_id, :creditor_id, :currency,
                :amount_minor, :debtor_account_id, :creditor_account_id, :prepared_by, :now)"""),
            {
                "period_id": period_id,
                "end_to_end_id": _end_to_end_id(period, transfer),
                "debtor_id": transfer.debtor_id,
                "creditor_id": transfer.creditor_id,
                "currency": transfer.currency,
                "amount_minor": transfer.amount_minor,
                "debtor_account_id": held[transfer.debtor_id, transfer.currency],
                "creditor_account_id": held[transfer.creditor_id, transfer.currency],
                "prepared_by": actor,
                "now": now,
            },
        )
    return (await payments(db, period_ids=[period_id]))[period_id]


def _end_to_end_id(period: Period, transfer: Transfer) -> str:
    """Name a payment: the same period, pair and currency give the same name, of 35 at most."""
    pair = f"{transfer.debtor_id}-{transfer.creditor_id}"
    return f"S{period.code.replace('-', '')}-{pair}-{transfer.currency}"


async def _refuse_without_account(
    db: AsyncConnection,
    transfers: list[Transfer],
    held: dict[tuple[int, str], int],
    today: date,
) -> None:
    needed = {
        (party, transfer.currency)
        for transfer in transfers
        for party in (transfer.debtor_id, transfer.creditor_id)
    }
    missing = sorted(needed - held.keys())
    if missing:
        codes = {b.business_id: b.code for b in await businesses(db)}
        said = ", ".join(f"{codes[party]} in {currency}" for party, currency in missing)
        raise Rejected(
            f"no payment account is in force on {today} for {said}: give each one in the group's "
            "file under payment_accounts, and apply it",
            missing=said,
        )
