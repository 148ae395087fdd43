"""Reseal: put stored bodies and connections' settings under the active key-encryption key."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto import delivery
from hub.crypto.delivery import version_sql
from hub.crypto.keyring import Keyring
from hub.intake.connections import settings_place
from hub.intake.deliveries import SNAPSHOTS_CONTEXT
from hub.intake.store import BODY_CONTEXT

CHUNK_DELIVERIES = 500


_BODY, _SNAPSHOTS, _SETTINGS = map(version_sql, ("body", "snapshots", "settings"))

_DELIVERIES = text(f"""
SELECT d.delivery_id, c.code, d.body, d.snapshots
FROM delivery d JOIN connection c USING (connection_id)
WHERE d.delivery_id > :after AND d.shredded_at IS NULL
  AND ({_BODY} <> :active OR {_SNAPSHOTS} <> :active)
ORDER BY d.delivery_id LIMIT :deliveries FOR UPDATE OF d SKIP LOCKED
""")  # noqa: S608 - constants of ours

_UNDER = text(f"""
SELECT version, sum(n)::bigint FROM (
  SELECT {_BODY} AS version, count(*) AS n FROM delivery WHERE shredded_at IS NULL GROUP BY 1
  UNION ALL SELECT {_SNAPSHOTS}, count(*) FROM delivery WHERE snapshots IS NOT NULL GROUP BY 1
  UNION ALL SELECT {_SETTINGS}, count(*) FROM connection GROUP BY 1
) sealed GROUP BY version
""")  # noqa: S608 - constants of ours


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many deliveries a chunk sealed anew; `last_delivery_id` is where the next one goes on."""

    deliveries: int
    last_delivery_id: int | None


async def reseal(
    db: AsyncConnection,
    *,
    after_delivery_id: int = 0,
    deliveries: int = CHUNK_DELIVERIES,
    keyring: Keyring,
) -> Resealed:
    """Seal anew the next deliveries that are under another version than the active one.

    Nobody waits: what a worker holds at this moment is left for the next pass. The caller commits
    each chunk and goes on until `last_delivery_id` is None.
    """
    rows = await db.execute(
        _DELIVERIES,
        {
            "after": after_delivery_id,
            "active": keyring.key_encryption.active,
            "deliveries": deliveries,
        },
    )
    found = rows.all()
    if not found:
        return Resealed(0, None)
    anew = []
    for row in found:
        body = delivery.reseal(keyring, row.body, context=f"{BODY_CONTEXT}|{row.code}")
        place = f"{SNAPSHOTS_CONTEXT}|{row.delivery_id}"
        kept = (
            None
            if row.snapshots is None
            else delivery.reseal(keyring, row.snapshots, context=place)
        )
        anew.append((row.delivery_id, body, kept))
    ids, bodies, snapshots = zip(*anew, strict=True)
    await db.execute(
        text("""
          UPDATE delivery d SET body = n.body, snapshots = n.snapshots
          FROM unnest(CAST(:ids AS bigint[]), CAST(:bodies AS bytea[]), CAST(:snapshots AS bytea[]))
            AS n (delivery_id, body, snapshots)
          WHERE d.delivery_id = n.delivery_id"""),
        {"ids": list(ids), "bodies": list(bodies), "snapshots": list(snapshots)},
    )
    return Resealed(len(found), found[-1].delivery_id)


async def reseal_connections(db: AsyncConnection, *, keyring: Keyring) -> int:
    """Seal anew the settings of connections that are under another version; returns how many."""
    rows = await db.execute(
        text(f"""
          SELECT connection_id, code, settings FROM connection WHERE {_SETTINGS} <> :active
          ORDER BY connection_id FOR UPDATE"""),  # noqa: S608 - a constant of ours
        {"active": keyring.key_encryption.active},
    )
    found = rows.all()
    for row in found:
        await db.execute(
            text("UPDATE connection SET settings = :settings WHERE connection_id = :id"),
            {
                "id": row.connection_id,
                "settings": delivery.reseal(
                    keyring, row.settings, context=settings_place(row.code)
                ),
            },
        )
    return len(found)


async def sealed_under(db: AsyncConnection) -> dict[int, int]:
    """Return how many bodies, snapshots and settings are sealed under each version."""
    return {row.version: row[1] for row in await db.execute(_UNDER)}
