"""Quotas of members who become one, and of one who becomes several."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_LOCK = text("""
SELECT 1 FROM entitlement
WHERE member_id = ANY (CAST(:members AS bigint[]))
  OR birth_member_id = ANY (CAST(:members AS bigint[]))
ORDER BY entitlement_id FOR UPDATE
""")
_MOVE = text("""
UPDATE entitlement e SET member_id = w.holder
FROM unnest(CAST(:births AS bigint[]), CAST(:holders AS bigint[])) AS w (born, holder)
WHERE e.birth_member_id = w.born AND e.member_id <> w.holder
""")
# What each side's tier granted for one period is one quota, the larger: the rest of it goes, first
# from what came along, and never what was used or held. What was used is used: where they have used
# more than one quota, it is used up.
_ONE_QUOTA = text("""
WITH quotas AS (
  SELECT e.*, sum(granted) OVER whole - max(granted) OVER whole AS too_much,
    coalesce(sum(free) OVER (PARTITION BY member_id, benefit_id, starts_on
      ORDER BY (birth_member_id = member_id), entitlement_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
  FROM entitlement e WHERE member_id = ANY (CAST(:members AS bigint[])) AND source = 'tier'
  WINDOW whole AS (PARTITION BY member_id, benefit_id, starts_on)
)
INSERT INTO entitlement_entry (entitlement_id, kind, quantity, occurred_at)
SELECT entitlement_id, 'merged', least(free, too_much - before), :now FROM quotas
WHERE free > 0 AND before < too_much
""")
_RESTORE = text("""
INSERT INTO entitlement_entry (entitlement_id, kind, quantity, occurred_at)
SELECT entitlement_id, 'restored', taken, :now
FROM entitlement JOIN LATERAL (
  SELECT sum(CASE n.kind WHEN 'merged' THEN n.quantity ELSE -n.quantity END) AS taken
  FROM entitlement_entry n
  WHERE n.entitlement_id = entitlement.entitlement_id AND n.kind IN ('merged', 'restored')
) n ON taken > 0
WHERE birth_member_id = ANY (CAST(:births AS bigint[])) AND ends_on >= :since_day
""")
# Of each use the business tells whose it was: the side that alone has an account there, else who
# bears it.
_MISPLACED = text("""
SELECT u.use_id, e.entitlement_id, e.benefit_id, e.starts_on, e.ends_on, p.used AS quantity, s.side
FROM entitlement e
JOIN entitlement_use u ON u.use_id IN (
  SELECT coalesce(CASE WHEN n.kind = 'captured' THEN n.request_id END, n.reference_id)
  FROM entitlement_entry n WHERE n.entitlement_id = e.entitlement_id
    AND n.kind IN ('used', 'captured', 'moved_in'))
JOIN LATERAL entitlement_parts(u.use_id) p ON p.entitlement_id = e.entitlement_id
JOIN LATERAL (
  SELECT min(x.side) AS side FROM account a
  JOIN unnest(CAST(:accounts AS bigint[]), CAST(:account_sides AS bigint[])) AS x (account, side)
    ON x.account = a.account_id
  WHERE a.business_id = u.business_id HAVING count(DISTINCT x.side) = 1
) s ON s.side <> e.member_id
WHERE e.birth_member_id = ANY (CAST(:births AS bigint[])) AND e.ends_on >= :since_day
ORDER BY u.use_id, e.entitlement_id
""")
_BEARER = text("""
SELECT entitlement_id, free FROM entitlement
WHERE member_id = :side AND benefit_id = :benefit_id AND starts_on = :starts_on
  AND ends_on = :ends_on
ORDER BY free DESC, entitlement_id LIMIT 1
""")
_ENTRY = text("""
INSERT INTO entitlement_entry (entitlement_id, kind, quantity, reference_id, reason, occurred_at)
VALUES (:entitlement_id, :kind, :quantity, :use_id, 'split', :now)
""")


async def merge_quotas(
    db: AsyncConnection, *, member_id: int, members: Sequence[int], now: datetime
) -> None:
    """Give the survivor what all were granted; of what tiers granted, one quota."""
    facts = {"members": list(members), "now": now}
    await db.execute(_LOCK, facts)
    await db.execute(
        text("""
          UPDATE entitlement SET member_id = :survivor
          WHERE member_id = ANY (CAST(:members AS bigint[])) AND member_id <> :survivor"""),
        {"members": list(members), "survivor": member_id},
    )
    await db.execute(_ONE_QUOTA, {"members": [member_id], "now": now})


async def split_quotas(
    db: AsyncConnection,
    *,
    births: Mapping[int, int],
    accounts: Mapping[int, int],
    since_day: date,
    now: datetime,
) -> None:
    """Give each side what it was granted, and its own uses of it.

    `births` and `accounts` say whom each of them now is; uses of quotas that ended before
    `since_day` stay where they are. A quota is never smaller than what is used of it.
    """
    sides = sorted(set(births.values()))
    await db.execute(_LOCK, {"members": sorted({*births, *sides})})
    facts = {"births": list(births), "since_day": since_day, "now": now}
    await db.execute(_MOVE, {"births": list(births), "holders": list(births.values())})
    await db.execute(_RESTORE, facts)
    misplaced = await db.execute(
        _MISPLACED,
        {
            "births": list(births),
            "accounts": list(accounts),
            "account_sides": list(accounts.values()),
            "since_day": since_day,
        },
    )
    for row in misplaced.all():
        bearer = (
            await db.execute(
                _BEARER,
                {
                    "side": row.side,
                    "benefit_id": row.benefit_id,
                    "starts_on": row.starts_on,
                    "ends_on": row.ends_on,
                },
            )
        ).first()
        part = {"use_id": row.use_id, "now": now}
        moves = [(row.entitlement_id, "moved_out", row.quantity)]
        if bearer is not None:
            if row.quantity > bearer.free:
                moves.append((bearer.entitlement_id, "granted", row.quantity - bearer.free))
            moves.append((bearer.entitlement_id, "moved_in", row.quantity))
        for entitlement_id, kind, quantity in moves:
            await db.execute(
                _ENTRY,
                {**part, "entitlement_id": entitlement_id, "kind": kind, "quantity": quantity},
            )
    await db.execute(_ONE_QUOTA, {"members": sides, "now": now})
