"""Merge: several members turn out to be one person, in the whole hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.merging import merge_benefits
from hub.benefits.vouchers.merging import merge_vouchers
from hub.clock import business_date
from hub.errors import Rejected
from hub.ledger.post import lock_balances, post_merge
from hub.members.link_members import link_members
from hub.members.review.settle_reviews import settle_reviews
from hub.points.pool_queries import pools_of
from hub.programme.queries import programme


class InPool(Rejected):
    """A member who holds points together with others must leave the pool first."""

    code = "in_pool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Who the members now are, and who leads there."""

    member_id: int
    absorbed: tuple[int, ...]
    edge_ids: tuple[int, ...]


async def merge_members(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    method: str,
    actor: str,
    now: datetime,
    reason: str | None = None,
    score: float | None = None,
    evidence: Mapping[str, Any] | None = None,
    despite_non_match: bool = False,
    second_account: bool | None = None,
    review_id: int | None = None,
) -> Merged:
    """Make one member of several: the oldest of them, to which the others lead from now on.

    `method` is 'staff' or 'batch'. Two accounts at one business are allowed to staff; to the batch
    if it says so (`second_account`). `despite_non_match` is for staff who know better than whoever
    said that these are two people. Reviews that it answers are settled, but for the one that it
    carries out (`review_id`). `split_members` undoes it.

    Raises NotFound, Unavailable when one of them changes at this moment, and the rejections
    SameMember, MemberErased, SetApart, SecondAccount and InPool.
    """
    linked = await link_members(
        db,
        member_ids=member_ids,
        method=method,
        actor=actor,
        now=now,
        reason=reason,
        score=score,
        evidence=evidence,
        despite_non_match=despite_non_match and method == "staff",
        second_account=method == "staff" if second_account is None else second_account,
    )
    pooled = await pools_of(db, member_ids=list(linked.families))
    if pooled:
        raise InPool(f"member {min(pooled)} is in a pool: leave it first", member_id=min(pooled))
    births = [born for one in linked.families.values() for born in one.member_ids]
    await settle_reviews(
        db, member_ids=births, actor=actor, now=now, reason="merged", review_id=review_id
    )
    await lock_balances(db, member_ids=births)
    group = await programme(db)
    for absorbed, edge_id in linked.absorbed.items():
        await post_merge(
            db,
            idempotency_key=f"merge:{edge_id}",
            from_id=absorbed,
            to_id=linked.member_id,
            business_date=business_date(now, group.time_zone),
            now=now,
        )
    await merge_benefits(
        db,
        member_id=linked.member_id,
        absorbed=list(linked.absorbed),
        now=now,
        time_zone=group.time_zone,
    )
    await merge_vouchers(db, member_id=linked.member_id, absorbed=list(linked.absorbed))
    return Merged(
        member_id=linked.member_id,
        absorbed=tuple(linked.absorbed),
        edge_ids=tuple(linked.absorbed.values()),
    )
