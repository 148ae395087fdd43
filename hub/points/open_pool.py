"""Open a pool: several members hold points together."""

import secrets
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound, Rejected
from hub.members.queries import lock_current_member
from hub.points.checks import key
from hub.points.pool_queries import Pool

# Whoever knows it may spend what is in the pool once they have joined: it cannot be guessed.
_CODE_BYTES = 15


async def open_pool(
    db: AsyncConnection, *, member_id: int, idempotency_key: str, now: datetime
) -> Pool:
    """Open a pool with the member as its first.

    Asking again under the key returns the pool as it was opened. Raises Rejected when the member is
    in a pool, NotFound when there is no such member, Malformed for a key that cannot be kept.
    """
    key(idempotency_key)
    member_id = await lock_current_member(db, member_id=member_id) or 0
    if member_id == 0:
        raise NotFound("there is no such member", field="member_id")
    asked = {"member_id": member_id, "idempotency_key": idempotency_key, "now": now}
    # Membership first: its unique key is what two requests at once meet in.
    pool_id = await db.scalar(
        text("""
          INSERT INTO pool_member (member_id, pool_id, joined_at)
          SELECT :member_id, nextval('member_member_id_seq'), :now
          WHERE NOT EXISTS (SELECT 1 FROM pool
            WHERE opened_by = :member_id AND idempotency_key = :idempotency_key)
          ON CONFLICT DO NOTHING RETURNING pool_id"""),
        asked,
    )
    if pool_id is not None:
        code = secrets.token_urlsafe(_CODE_BYTES)
        await db.execute(
            text("""
              INSERT INTO pool (pool_id, opened_by, opened_at, idempotency_key, code)
              VALUES (:pool_id, :member_id, :now, :idempotency_key, :code)"""),
            {**asked, "pool_id": pool_id, "code": code},
        )
        return Pool(pool_id=pool_id, code=code, opened_at=now, member_ids=[member_id])
    before = (
        await db.execute(
            text("""
              SELECT pool_id, code, opened_at FROM pool
              WHERE opened_by = :member_id AND idempotency_key = :idempotency_key"""),
            asked,
        )
    ).one_or_none()
    if before is None:
        raise Rejected("this member is in a pool: leave it first", field="member_id")
    return Pool(**before._asdict(), member_ids=[member_id])
