"""Issuers whose points a business takes no more of: their credit with it is used up."""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.ledger.post import answered


async def refuse_stopped(
    db: AsyncConnection,
    *,
    stopped_issuers: Collection[int],
    business_id: int,
    idempotency_key: str,
    member_id: int,
    points: int,
    unit: int,
    today: date,
    now: datetime,
) -> None:
    """Raise Rejected when a stopped issuer's points are among those that would be spent.

    All of a redemption is refused or nothing. Where nobody is stopped it asks nothing. What was
    answered once is answered the same.
    """
    if not stopped_issuers:
        return
    row = (
        await db.execute(
            text("""
              WITH lots AS (
                SELECT remaining, issuer_id = ANY (CAST(:stopped AS smallint[])) AS stopped,
                  row_number() OVER (ORDER BY expires_on, earned_at, lot_id) AS place
                FROM lot WHERE member_id = :member_id AND open AND unit = :unit
                  AND expires_on >= :today AND (NOT pending OR activates_at <= :now)
              ), reached AS (SELECT min(place) AS place FROM lots WHERE stopped)
              SELECT r.place, coalesce(sum(l.remaining), 0)::bigint AS before
              FROM reached r LEFT JOIN lots l ON l.place < r.place GROUP BY r.place"""),
            {
                "stopped": list(stopped_issuers),
                "member_id": member_id,
                "unit": unit,
                "today": today,
                "now": now,
            },
        )
    ).one()
    if row.place is None or row.before >= points:
        return
    if await answered(db, business_id=business_id, idempotency_key=idempotency_key) is None:
        raise Rejected(
            f"{row.before} points can be spent here: those behind them are of a business whose "
            "credit here is used up until it has paid",
            nearest_points=row.before,
        )


async def stopped_at(db: AsyncConnection, *, business_id: int) -> tuple[int, ...]:
    """Return the issuers whose points a business takes no more of."""
    found = await db.scalars(
        text("""
          SELECT issuer_id FROM credit_standing
          WHERE acceptor_id = :business_id AND state = 'stopped' ORDER BY issuer_id"""),
        {"business_id": business_id},
    )
    return tuple(found)
