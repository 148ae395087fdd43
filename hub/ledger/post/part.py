"""Posting a split: what accounts spent of each other's is put right, then each side has its own."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.ledger.apart import Line, Lot, Move, redress, short_of_holds
from hub.ledger.codes import Kind, Side, Unit
from hub.ledger.post.lock import lock_balances

_LOTS = text("""
SELECT lot_id, account_id, issuer_id, cost_rate, remaining, expires_on, earned_at, pending
FROM lot WHERE member_id = :member_id AND unit = CAST(:unit AS smallint)
ORDER BY expires_on, earned_at, lot_id
""")
_MOVES = text("""
WITH kin AS MATERIALIZED (
  SELECT ledger_kin(ARRAY[CAST(:member_id AS bigint)]) AS ids
), refunds AS (
  SELECT t.tx_id, t.reference_tx FROM kin JOIN ledger_transaction t ON t.member_id = ANY (kin.ids)
  WHERE t.reference_tx IS NOT NULL AND t.kind = 6
)
SELECT coalesce(o.origin_tx, e.tx_id) AS tx_id, e.lot_id, e.account_id, e.points, e.debit, e.credit,
  coalesce(o.business_date, e.business_date) AS business_date, r.reference_tx AS refunded
FROM kin JOIN entry e ON e.member_id = ANY (kin.ids)
JOIN lot l ON l.member_id = :member_id AND l.lot_id = e.lot_id
LEFT JOIN refunds r ON r.tx_id = e.tx_id AND e.credit = 40
LEFT JOIN redress_origin o ON e.credit = 110 AND o.member_id = e.member_id AND o.tx_id = e.tx_id
  AND o.seq = e.seq
WHERE e.unit = CAST(:unit AS smallint)
ORDER BY e.tx_id, e.seq
""")
_HELD = text("""
SELECT account_id, sum(points - captured - voided)::bigint AS points FROM hold
WHERE member_id = :member_id AND unit = CAST(:unit AS smallint) AND open GROUP BY account_id
""")
_HEADER = text("""
SELECT tx_id, replayed FROM ledger_record(CAST(0 AS smallint), :key, :member_id, NULL,
  CAST(:kind AS smallint), CAST(0 AS smallint), CAST(:unit AS smallint), :points, 0, NULL, NULL,
  NULL, :reason, :now, :business_date)
""")
_REDRESS = text("""
SELECT ledger_redress(:tx_id, :member_id, CAST(:unit AS smallint), CAST(:lots AS bigint[]),
  CAST(:accounts AS bigint[]), CAST(:points AS bigint[]), CAST(:debits AS smallint[]),
  CAST(:credits AS smallint[]), CAST(:issuers AS smallint[]), CAST(:cost_rates AS numeric[]),
  CAST(:origins AS bigint[]), CAST(:dates AS date[]),
  :business_date, :now)
""")
_PART = text("""
SELECT ledger_part(:tx_id, :member_id, CAST(:unit AS smallint), CAST(:accounts AS bigint[]),
  CAST(:sides AS bigint[]), :business_date, :now)
""")


class HeldAcross(Rejected):
    """A side's holds keep points that the other side earned: they must end first."""

    code = "held_across"


async def post_part(
    db: AsyncConnection,
    *,
    idempotency_key: str,
    member_id: int,
    births: Mapping[int, int],
    accounts: Mapping[int, int],
    reason: str,
    today: date,
    now: datetime,
) -> dict[int, list[Line]]:
    """Let each side have what its accounts have; returns what had to be put right, by unit.

    `births` and `accounts` say whom each of them now is; `today` is the group's date. Raises
    HeldAcross when a side's holds keep more than it comes away with.
    """
    await lock_balances(db, member_ids=list(births))
    units = await db.scalars(
        text("SELECT unit FROM balance WHERE member_id = :member_id ORDER BY unit"),
        {"member_id": member_id},
    )
    righted: dict[int, list[Line]] = {}
    for unit in units.all():
        facts: dict[str, object] = {
            "member_id": member_id,
            "unit": unit,
            "business_date": today,
            "now": now,
        }
        lines = []
        if unit != Unit.QUALIFYING:
            lines = await _lines(db, facts, accounts, member_id, today)
        header = {"key": f"{idempotency_key}:{unit}", "kind": Kind.SPLIT, "reason": reason}
        given = sum(line.points for line in lines if line.debit is Side.REDRESSED)
        facts["tx_id"] = await db.scalar(_HEADER, {**facts, **header, "points": given})
        if lines:
            await db.execute(_REDRESS, {**facts, **_columns(lines)})
            righted[unit] = lines
        sides = {"accounts": list(accounts), "sides": list(accounts.values())}
        await db.execute(_PART, {**facts, **sides})
    await db.execute(
        text("""
          UPDATE balance b SET moved_to = nullif(whom, born)
          FROM unnest(CAST(:births AS bigint[]), CAST(:whom AS bigint[])) AS u (born, whom)
          WHERE b.member_id = born AND b.moved_to IS DISTINCT FROM nullif(whom, born)"""),
        {"births": list(births), "whom": list(births.values())},
    )
    return righted


async def _lines(
    db: AsyncConnection,
    facts: Mapping[str, object],
    accounts: Mapping[int, int],
    member_id: int,
    today: date,
) -> list[Line]:
    which = {"member_id": facts["member_id"], "unit": facts["unit"]}
    lots = [
        Lot(
            lot_id=row.lot_id,
            account_id=row.account_id,
            issuer_id=row.issuer_id,
            cost_rate=row.cost_rate,
            expires_on=row.expires_on,
            order=(row.expires_on, row.earned_at, row.lot_id),
            pending=row.pending,
            free=row.remaining,
        )
        for row in await db.execute(_LOTS, which)
    ]
    moves = [Move(**row._asdict()) for row in await db.execute(_MOVES, which)]
    held: dict[int, int] = defaultdict(int)
    for row in await db.execute(_HELD, which):
        held[accounts.get(row.account_id, member_id)] += row.points
    lines = redress(lots, moves, accounts, held, today)
    if (side := short_of_holds(lots, accounts, held)) is not None:
        raise HeldAcross(
            f"points that are held for member {side} are not all its own: capture or void first",
            member_id=side,
        )
    return lines


def _columns(lines: Sequence[Line]) -> dict[str, object]:
    return {
        "lots": [line.lot_id for line in lines],
        "accounts": [line.account_id for line in lines],
        "points": [line.points for line in lines],
        "debits": [int(line.debit) for line in lines],
        "credits": [int(line.credit) for line in lines],
        "issuers": [line.issuer_id for line in lines],
        "cost_rates": [line.cost_rate for line in lines],
        "origins": [line.origin.tx_id if line.origin else None for line in lines],
        "dates": [line.origin.business_date if line.origin else None for line in lines],
    }
