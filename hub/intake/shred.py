"""Shred: destroy the bodies of deliveries for a person's sake. What came of them stays known."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.intake.facts import SourceKey

# A reason may quote the body, and its hash could prove a guess.
_SHRED = """
UPDATE delivery d SET body = '', body_sha256 = '', snapshots = NULL, reason = NULL,
  shredded_at = :now
WHERE d.state <> 'pending' AND d.shredded_at IS NULL AND d.delivery_id"""

_NAMED = text(f"{_SHRED} = ANY (CAST(:ids AS bigint[]))")
# Every batch asks this, of tables that have grown since it was planned. So it is written as the
# loop over indexes that it must be: a plan that reads deliveries or keys through costs 100 ms.
_OF_ERASED = text(f"""{_SHRED} = ANY (ARRAY(
  SELECT x.delivery_id
  FROM unnest(CAST(:ids AS bigint[]), CAST(:connections AS smallint[]), CAST(:kinds AS text[]),
    CAST(:names AS text[])) AS x (delivery_id, connection_id, entity, entity_id)
  CROSS JOIN LATERAL (
    SELECT f.account_id FROM business_fact f
    WHERE f.connection_id = x.connection_id AND f.entity = x.entity AND f.entity_id = x.entity_id
      AND f.account_id IS NOT NULL
    OFFSET 0) AS f
  WHERE (SELECT k.account_id FROM account_key k WHERE k.account_id = f.account_id) IS NULL))
  AND d.state <> 'dead'
""")  # noqa: S608 - a constant of ours


async def shred(db: AsyncConnection, *, delivery_ids: Collection[int], now: datetime) -> int:
    """Destroy the bodies of these deliveries, but of those still to be worked on; returns how many.

    A shredded delivery is not replayed.
    """
    if not delivery_ids:
        return 0
    done = await db.execute(_NAMED, {"ids": sorted(delivery_ids), "now": now})
    return done.rowcount


async def shred_of_erased(
    db: AsyncConnection, *, records: Collection[tuple[int, SourceKey]], now: datetime
) -> None:
    """Destroy the bodies of deliveries just worked on that tell of somebody who was erased.

    `records` are deliveries with the sources' own records that they told of. A dead letter waits
    until it was replayed: a refund may be in it.
    """
    if records:
        ordered = sorted(records)
        await db.execute(
            _OF_ERASED,
            {
                "ids": [delivery_id for delivery_id, _ in ordered],
                "connections": [key.connection_id for _, key in ordered],
                "kinds": [key.kind for _, key in ordered],
                "names": [key.id for _, key in ordered],
                "now": now,
            },
        )
