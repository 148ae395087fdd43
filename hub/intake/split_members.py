"""Split: a wrong merge is taken back, in the whole hub."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.merging import split_benefits
from hub.benefits.vouchers.merging import split_vouchers
from hub.clock import business_date
from hub.intake.merge_members import InPool
from hub.ledger.apart import Line
from hub.ledger.codes import Side as LedgerSide
from hub.ledger.post import post_part
from hub.members.review.settle_reviews import settle_reviews
from hub.members.unlink_members import Side, unlink_members
from hub.points.pool_queries import pools_of
from hub.privacy.carry_retentions import carry_retentions
from hub.programme.queries import programme


@dataclass(frozen=True, slots=True, kw_only=True)
class Righted:
    """What a split put right for an account: what others had spent of its points and came back;
    what it gave for what it had spent of theirs; and what it now owes, as it had no points left.
    """

    account_id: int
    unit: int
    returned: int
    given: int
    owed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The members that there now are; the first keeps the id."""

    member_id: int
    sides: tuple[Side, ...]
    righted: tuple[Righted, ...]
    """By account and unit; accounts that spent nothing of others are left out."""


async def split_members(
    db: AsyncConnection,
    *,
    member_id: int,
    account_ids: Sequence[int],
    actor: str,
    now: datetime,
    reason: str,
    review_id: int | None = None,
) -> Split:
    """Let the births behind these accounts leave a member, as if they had never been merged.

    Each side comes away with what its accounts have: points that others spent of them come back,
    from those who spent them; what these cannot give they owe. Whoever took points for a purchase
    keeps what it was paid. It is remembered that they are two people: the batch does not merge
    them again. Reviews that it answers are settled, but for the one that it carries out
    (`review_id`). Raises NotFound, Unavailable when the member changes at this moment, and the
    rejections MemberErased, CannotSplit, InPool and HeldAcross.
    """
    unlinked = await unlink_members(
        db, member_id=member_id, account_ids=account_ids, actor=actor, now=now, reason=reason
    )
    if await pools_of(db, member_ids=[unlinked.member_id]):
        raise InPool(f"member {unlinked.member_id} is in a pool: leave it first")
    await settle_reviews(
        db,
        member_ids=[born for side in unlinked.sides for born in side.member_ids],
        actor=actor,
        now=now,
        reason="split",
        review_id=review_id,
    )
    group = await programme(db)
    accounts = {a: side.member_id for side in unlinked.sides for a in side.account_ids}
    lines = await post_part(
        db,
        idempotency_key=f"split:{unlinked.edge_ids[0]}",
        member_id=unlinked.member_id,
        births=unlinked.births,
        accounts=accounts,
        reason=reason,
        today=business_date(now, group.time_zone),
        now=now,
    )
    await split_benefits(
        db,
        member_id=unlinked.member_id,
        births=unlinked.births,
        accounts=accounts,
        since=unlinked.since,
        now=now,
        time_zone=group.time_zone,
    )
    await split_vouchers(db, member_id=unlinked.member_id, births=unlinked.births)
    await carry_retentions(
        db,
        from_id=unlinked.member_id,
        to_ids=[side.member_id for side in unlinked.sides[1:]],
        since=unlinked.since,
    )
    return Split(member_id=unlinked.member_id, sides=unlinked.sides, righted=tuple(_righted(lines)))


def _righted(lines: Mapping[int, Sequence[Line]]) -> Iterator[Righted]:
    for unit, posted in sorted(lines.items()):
        sums: dict[int, Counter[str]] = defaultdict(Counter)
        for line in posted:
            what = {LedgerSide.REDRESSED: "returned", LedgerSide.RECEIVABLE: "owed"}
            sums[line.owner_id][what.get(line.debit, "given")] += line.points
        for account_id, sum_ in sorted(sums.items()):
            yield Righted(
                account_id=account_id,
                unit=unit,
                returned=sum_["returned"],
                given=sum_["given"],
                owed=sum_["owed"],
            )
