"""Join a pool, with the code that its members know."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound, Rejected
from hub.members.queries import lock_current_member
from hub.points.pool_queries import Pool, pools_of
from hub.programme.policy_queries import policies


async def join_pool(db: AsyncConnection, *, member_id: int, code: str, now: datetime) -> Pool:
    """Let a member spend from a pool and contribute to it; joining twice is joining once.

    Raises NotFound for a code that no open pool has and for who is no member, Rejected when the
    pool is full (the points policy's `pool_members`) and when the member is in another one.
    """
    member_id = await lock_current_member(db, member_id=member_id) or 0
    if member_id == 0:
        raise NotFound("there is no such member", field="member_id")
    pool_id = await db.scalar(
        text("SELECT pool_id FROM pool WHERE code = :code AND closed_at IS NULL FOR UPDATE"),
        {"code": code.replace("\0", "")},
    )
    if pool_id is None:
        raise NotFound("no open pool has this code", field="code")
    asked = {"member_id": member_id, "pool_id": pool_id, "now": now}
    own = (await pools_of(db, member_ids=[member_id])).get(member_id)
    if own is not None and own.pool_id == pool_id:
        return own
    most = (await policies(db)).points(now).pool_members
    members = await db.scalar(
        text("SELECT count(*) FROM pool_member WHERE pool_id = :pool_id AND left_at IS NULL"),
        asked,
    )
    if members is not None and members >= most:
        raise Rejected(f"this pool has {members} members, of {most} at most", field="code")
    joined = await db.execute(
        text("""
          INSERT INTO pool_member (member_id, pool_id, joined_at)
          VALUES (:member_id, :pool_id, :now) ON CONFLICT DO NOTHING"""),
        asked,
    )
    if joined.rowcount == 0:
        raise Rejected("this member is in a pool: leave it first", field="member_id")
    return (await pools_of(db, member_ids=[member_id]))[member_id]
