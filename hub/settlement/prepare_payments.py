"""Prepare payments: a period's nets become what each pays, for somebody else to release."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.programme.queries import businesses
from hub.settlement.accounts import accounts_in_force, clearing_business
from hub.settlement.netting import Net
from hub.settlement.pairing import Transfer, pair_off
from hub.settlement.payments import Payment, payments
from hub.settlement.queries import Period, net_positions, period_by_id

_PAYABLE = ("approved", "issued")


async def prepare_payments(
    db: AsyncConnection, *, period_id: int, prepared_by: str, today: date, now: datetime
) -> list[Payment]:
    """Write the payments of an approved period from the accounts in force `today`.

    Once prepared they stay: asked again, the same are returned. Raises NotFound, and Rejected while
    the period is not approved or when a business has no account, naming every one.
    """
    await db.execute(
        text("SELECT 1 FROM settlement_period WHERE period_id = :id FOR UPDATE"), {"id": period_id}
    )
    period = await period_by_id(db, period_id)
    made = (await payments(db, period_ids=[period_id]))[period_id]
    if made:
        return made
    if period.state not in _PAYABLE:
        raise Rejected(
            f"period {period.code} is {period.state}: what it comes to is paid once it is approved",
            period=period.code,
        )
    transfers = pair_off(await _nets(db, period), clearing_id=await clearing_business(db, on=today))
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
                "prepared_by": prepared_by,
                "now": now,
            },
        )
    return (await payments(db, period_ids=[period_id]))[period_id]


async def _nets(db: AsyncConnection, period: Period) -> list[Net]:
    """Return what each business receives or pays for the period."""
    return (await net_positions(db, period_ids=[period.period_id]))[period.period_id]


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
