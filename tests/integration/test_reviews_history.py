"""Any history of decisions and undoings leaves what the decisions that stand say, and no more."""

from itertools import combinations
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Stretch
from hub.errors import Rejected
from hub.intake.accept_review import accept_review
from hub.intake.mark_not_the_same import mark_not_the_same
from hub.intake.reject_review import reject_review
from hub.intake.undo_review import undo_review
from hub.members.partition import partition
from hub.members.review.items import ReviewItem
from hub.members.review.propose import Proposal, propose
from hub.members.review.queries import review_items
from tests.support.businesses import open_businesses
from tests.support.reviews import NOW, Desk

PEOPLE, PAIRS, DECISIONS = 7, 12, 60
VERBS = (accept_review, accept_review, reject_review, mark_not_the_same, undo_review, undo_review)


async def _reviews(db: AsyncConnection, random: Random) -> tuple[list[int], list[ReviewItem]]:
    """People, each with an account, and reviews of some pairs of them, one candidate each."""
    await open_businesses(db, ["CN"] * PEOPLE)
    desk = Desk(db)
    seen = [await desk.see(n + 1, "c", email=f"p{n}@example.com") for n in range(PEOPLE)]
    taken: set[int] = set()
    for one, other in random.sample(list(combinations(seen, 2)), PAIRS):
        assert one.account_id is not None
        assert other.member_id is not None
        proposal = Proposal(
            account_id=one.account_id, candidate_id=other.member_id, score=6.0, evidence={}
        )
        if one.account_id not in taken:
            await propose(db, proposals=[proposal], now=NOW)
            taken.add(one.account_id)
        else:
            await db.execute(
                text("""
                  INSERT INTO review_item (account_id, reason, candidates, opened_at)
                  VALUES (:account, :reason, ARRAY[CAST(:other AS bigint)], :now)
                  ON CONFLICT DO NOTHING"""),
                {
                    "account": one.account_id,
                    "reason": random.choice(["name_contradicts", "several_owners"]),
                    "other": other.member_id,
                    "now": NOW,
                },
            )
    people = [one.member_id for one in seen if one.member_id is not None]
    return people, await review_items(db, stretch=Stretch(100))


async def _check(db: AsyncConnection, people: list[int], born: dict[int, int]) -> None:
    items = await review_items(db, stretch=Stretch(100))
    accepted = [(born[i.account_id], i.candidates[0]) for i in items if i.state == "accepted"]
    apart = {
        tuple(sorted((born[i.account_id], i.candidates[0]))) for i in items if i.state == "not_same"
    }
    rows = await db.execute(text("SELECT member_id, coalesce(merged_into, member_id) FROM member"))
    assert {row[0]: row[1] for row in rows} == partition(people, accepted)
    rows = await db.execute(
        text("SELECT low_member_id, high_member_id FROM non_match WHERE lifted_at IS NULL")
    )
    assert {tuple(row) for row in rows} == apart
    assert [i.review_id for i in items if i.state == "open" and not i.doubted] == []


@pytest.mark.parametrize("seed", range(8))
async def test_what_stands_is_what_was_decided_and_not_undone(
    db: AsyncConnection, seed: int
) -> None:
    random = Random(seed)
    people, items = await _reviews(db, random)
    assert len(items) >= PAIRS - 4
    accounts = await db.execute(text("SELECT account_id, member_id FROM account_link"))
    born = {row.account_id: row.member_id for row in accounts}
    done = 0
    for _ in range(DECISIONS):
        verb, item = random.choice(VERBS), random.choice(items)
        try:
            async with db.begin_nested():
                await verb(db, review_id=item.review_id, actor="ann", now=NOW)
            done += 1
        except Rejected:
            continue
        await _check(db, people, born)
    assert done > DECISIONS / 4
    for item in items:
        try:
            async with db.begin_nested():
                await undo_review(db, review_id=item.review_id, actor="ann", now=NOW)
        except Rejected:
            continue
    await _check(db, people, born)
    left = await review_items(db, stretch=Stretch(100))
    assert {i.state for i in left} <= {"open", "dismissed"}
    edges = await db.scalar(text("SELECT count(*) FROM member_edge WHERE revoked_at IS NULL"))
    assert edges == 0
