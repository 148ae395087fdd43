"""Posting what time does: points end, are given more time, and become active."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Unit

_EXPIRE = text("""
SELECT lots, points FROM ledger_expire(CAST(:member_ids AS bigint[]), CAST(:unit AS smallint),
  :today, :now)
""")
_GIVE_TIME = text("""
SELECT lots, points FROM ledger_give_time(CAST(:member_ids AS bigint[]), CAST(:unit AS smallint),
  :today, :within, :months, :reason, :now)
""")
_FORFEIT = text("""
SELECT lots, points FROM ledger_forfeit(:member_id, CAST(:unit AS smallint), :reason,
  :business_date, :now)
""")
_LOCK_ALL = text(
    "SELECT ledger_lock_all(CAST(:member_ids AS bigint[]), CAST(:unit AS smallint), :now)"
)
_FORGET_CLOSED = text("""
UPDATE lot SET pending = false
WHERE member_id = ANY (CAST(:member_ids AS bigint[])) AND unit = CAST(:unit AS smallint)
  AND pending AND NOT open AND activates_at <= :now
""")


@dataclass(frozen=True, slots=True)
class Swept:
    """How many lots and points a sweep ended, or gave more time."""

    lots: int
    points: int


async def post_expiry(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    today: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> Swept:
    """Expire the given members' lots that were last valid before `today`, or ended by idleness.

    What is held stays until the hold has ended. Running it again finds nothing left to expire.
    """
    facts = {"member_ids": member_ids, "unit": unit, "today": today, "now": now}
    row = (await db.execute(_EXPIRE, facts)).one()
    return Swept(row.lots, row.points)


async def post_forfeiture(
    db: AsyncConnection,
    *,
    member_id: int,
    unit: int,
    reason: str,
    business_date: date,
    now: datetime,
) -> Swept:
    """End all points of a unit that a member has, as an expiry. Nothing of them may be held."""
    facts = {name: value for name, value in locals().items() if name != "db"}
    row = (await db.execute(_FORFEIT, facts)).one()
    return Swept(row.lots, row.points)


async def post_more_time(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    unit: int,
    within: date,
    months: int,
    reason: str,
    today: date,
    now: datetime,
) -> Swept:
    """Give the members' lots that would end by `within` so many `months` more.

    What would end by idleness lives on as if its member had been active `today`. Running it again
    finds nothing that ends so soon.
    """
    facts = {name: value for name, value in locals().items() if name != "db"}
    row = (await db.execute(_GIVE_TIME, facts)).one()
    return Swept(row.lots, row.points)


async def post_check_out(
    db: AsyncConnection,
    *,
    members: Sequence[int],
    accounts: Sequence[int],
    left_at: Sequence[datetime],
    now: datetime,
) -> None:
    """Make active what waits for check-outs on these accounts and was earned by `left_at`.

    The three are parallel, in the order of the members: their balances are locked in it.
    """
    await db.execute(
        text("""
          SELECT count(ledger_check_out(u.member_id, u.account_id, u.left_at, :now)::text)
          FROM unnest(CAST(:members AS bigint[]), CAST(:accounts AS bigint[]),
            CAST(:left_at AS timestamptz[])) AS u (member_id, account_id, left_at)"""),
        {"members": members, "accounts": accounts, "left_at": left_at, "now": now},
    )


async def post_activation(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> None:
    """Make the given members' pending points active whose time has come by `now`.

    Lots that closed while they were pending leave the index of what is pending with them.
    """
    facts = {"member_ids": member_ids, "unit": unit, "now": now}
    await db.execute(_LOCK_ALL, facts)
    await db.execute(_FORGET_CLOSED, facts)
