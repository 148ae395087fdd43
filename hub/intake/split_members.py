"""Split: a wrong merge is taken back, in the whole hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.intake.merge_members import InPool
from hub.members.unlink_members import Side, unlink_members
from hub.points.pool_queries import pools_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The members that there now are; the first keeps the id."""

    member_id: int
    sides: tuple[Side, ...]


async def split_members(
    db: AsyncConnection,
    *,
    member_id: int,
    account_ids: Sequence[int],
    actor: str,
    now: datetime,
    reason: str,
) -> Split:
    """Let the births behind these accounts leave a member, as if they had never been merged.

    It is remembered that they are two people: the batch does not merge them again. Raises
    NotFound, Unavailable when the member changes at this moment, and the rejections MemberErased,
    CannotSplit and InPool.
    """
    unlinked = await unlink_members(
        db, member_id=member_id, account_ids=account_ids, actor=actor, now=now, reason=reason
    )
    if await pools_of(db, member_ids=[unlinked.member_id]):
        raise InPool(f"member {unlinked.member_id} is in a pool: leave it first")
    return Split(member_id=unlinked.member_id, sides=unlinked.sides)
