"""Doubts are decided by people: what each decision does, is remembered by, and is undone by."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise, permutations

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from hub.db.engine import make_engine
from hub.db.migrate import upgrade
from hub.errors import Malformed, NotFound
from hub.intake.undo_review import NothingToUndo
from hub.members.family import family
from hub.members.forget import forget
from hub.members.link_members import SetApart
from hub.members.non_match import are_apart
from hub.members.people import Outcome
from hub.members.resolve import Resolved
from hub.members.review.assign_review import assign_review
from hub.members.review.items import ReviewDecided, ReviewItem, read_review
from hub.members.review.propose import Proposal, propose
from tests.support.businesses import open_businesses
from tests.support.reviews import NOW, OTHER_PHONE, PHONE, Desk

SHOP, HOTEL, DINER = 1, 2, 3


@pytest.fixture
async def desk(db: AsyncConnection) -> Desk:
    await open_businesses(db, ["CN", "CN", "GB"])
    return Desk(db)


async def in_doubt(desk: Desk) -> tuple[ReviewItem, Resolved, Resolved]:
    """A guest who gives a shop's customer's phone without proof."""
    li = await desk.see(SHOP, "c-1", phone=PHONE, name="李雷")
    guest = await desk.see(HOTEL, "g-1", phone_said=PHONE, name="Li Lei")
    assert guest.outcome is Outcome.NEW_WITH_REVIEW
    return await desk.only(), li, guest


async def led_by_a_shared_phone(desk: Desk) -> tuple[ReviewItem, Resolved, Resolved]:
    """A guest whom a phone led to a member, until it turned out to be a desk's."""
    li = await desk.see(SHOP, "c-1", phone=PHONE, name="李雷")
    guest = await desk.see(HOTEL, "g-1", phone=PHONE, email="mei@example.org")
    assert guest.member_id == li.member_id
    for number in range(8):
        await desk.see(DINER, f"d-{number}", phone=PHONE, name="李雷")
    items = [one for one in await desk.open() if one.reason == "shared_identifier"]
    [item] = [one for one in items if one.account_id == guest.account_id]
    return item, li, guest


async def steps(desk: Desk, item: ReviewItem) -> list[str]:
    rows = await desk.db.scalars(
        text("SELECT done FROM review_step WHERE review_id = :id ORDER BY step_id"),
        {"id": item.review_id},
    )
    return list(rows.all())


async def test_accepting_merges_and_undoing_splits(desk: Desk) -> None:
    item, li, guest = await in_doubt(desk)
    assert (item.doubted, item.doubts_own_link) == ([li.member_id], False)
    done = await desk.accept(item, note="rang her")
    assert (done.state, done.decision, done.chosen) == ("accepted", "merged", li.member_id)
    assert (done.decided_by, done.decided_at, done.note) == ("ann", NOW, "rang her")
    assert await desk.are_one(li, guest)
    assert await desk.accept(item) == await desk.accept(item, candidate_id=li.member_id) == done
    again = await desk.undo(item)
    assert (again.state, again.undone_at, again.decided_by) == ("open", NOW, None)
    assert await desk.undo(item) == again
    assert not await desk.are_one(li, guest)
    assert li.member_id is not None
    assert guest.member_id is not None
    assert not await are_apart(desk.db, member_ids=[li.member_id, guest.member_id])
    await desk.accept(item)
    assert await desk.are_one(li, guest)
    assert await steps(desk, item) == ["accepted", "undone", "accepted"]


async def test_rejecting_leaves_them_apart_and_is_not_asked_again(desk: Desk) -> None:
    item, li, guest = await in_doubt(desk)
    done = await desk.reject(item)
    assert (done.state, done.decision) == ("rejected", "left_apart")
    assert await desk.reject(item) == done
    assert not await desk.are_one(li, guest)
    await put(desk, item, li)
    assert await desk.open() == []
    await desk.undo(item)
    await desk.accept(item)
    assert await desk.are_one(li, guest)


async def put(desk: Desk, item: ReviewItem, *candidates: Resolved, reason: str = "") -> None:
    """Meet the same doubt again, as resolution writes it."""
    await desk.db.execute(
        text("""
          INSERT INTO review_item (account_id, reason, candidates, opened_at)
          VALUES (:account, :reason, :candidates, :now)
          ON CONFLICT (account_id, reason) WHERE state = 'open' DO UPDATE SET candidates = array(
            SELECT DISTINCT unnest(review_item.candidates || excluded.candidates) ORDER BY 1)"""),
        {
            "account": item.account_id,
            "reason": reason or item.reason,
            "candidates": [one.member_id for one in candidates],
            "now": NOW,
        },
    )


async def test_not_the_same_is_remembered_whatever_the_reason(desk: Desk) -> None:
    item, li, guest = await in_doubt(desk)
    done = await desk.not_same(item, note="brothers")
    assert (done.state, done.decision) == ("not_same", "set_apart")
    assert await desk.not_same(item) == done
    await put(desk, item, li, reason="name_contradicts")
    assert li.member_id is not None
    assert guest.account_id is not None
    for account, other in ((guest, li), (li, guest)):
        assert account.account_id is not None
        assert other.member_id is not None
        one = Proposal(
            account_id=account.account_id,
            candidate_id=other.member_id,
            score=8.0,
            evidence={"weights": []},
        )
        await propose(desk.db, proposals=[one], now=NOW)
    assert await desk.open() == []
    with pytest.raises(SetApart):
        await desk.merge(li.member_id, guest.member_id)
    await desk.undo(item)
    await desk.merge(li.member_id, guest.member_id)


async def test_a_new_candidate_of_a_decided_doubt_is_asked_about(desk: Desk) -> None:
    item, li, _ = await in_doubt(desk)
    await desk.not_same(item)
    han = await desk.see(DINER, "d-1", phone=OTHER_PHONE, name="Li Lei")
    await put(desk, item, li, han)
    later = await desk.only()
    assert (later.candidates, later.doubted) == ([han.member_id], [han.member_id])


async def test_a_kept_link_is_not_asked_about_again_whatever_its_member_is_now(
    desk: Desk,
) -> None:
    older = await desk.see(SHOP, "c-0", phone=OTHER_PHONE)
    item, li, guest = await led_by_a_shared_phone(desk)
    await desk.merge(older.member_id, li.member_id)
    item = await desk.item(item.review_id)
    assert item.doubted == [older.member_id]
    done = await desk.accept(item)
    assert (done.decision, done.chosen) == ("link_kept", li.member_id)
    assert await desk.accept(item, candidate_id=older.member_id) == done
    await put(desk, item, li)
    assert item.review_id not in {one.review_id for one in await desk.open()}
    assert await desk.are_one(older, guest)


async def test_of_several_the_one_meant_is_named(desk: Desk) -> None:
    li = await desk.see(SHOP, "c-1", phone=PHONE)
    han = await desk.see(SHOP, "c-2", email="han@example.com")
    guest = await desk.see(HOTEL, "g-1", phone=PHONE, email="han@example.com")
    item = await desk.only()
    assert item.reason == "several_owners"
    with pytest.raises(Malformed, match="several"):
        await desk.accept(item)
    with pytest.raises(Malformed, match="no candidate"):
        await desk.accept(item, candidate_id=999_999)
    done = await desk.accept(item, candidate_id=han.member_id)
    assert done.chosen == han.member_id
    assert await desk.are_one(han, guest)
    assert not await desk.are_one(li, guest)
    with pytest.raises(ReviewDecided):
        await desk.accept(item, candidate_id=li.member_id)


async def test_whoever_decides_second_is_told(desk: Desk) -> None:
    item, *_ = await in_doubt(desk)
    await desk.reject(item)
    for verb in (desk.accept, desk.not_same):
        with pytest.raises(ReviewDecided, match="rejected already, by ann"):
            await verb(item)
    with pytest.raises(ReviewDecided):
        await assign_review(desk.db, review_id=item.review_id, to="bo", actor="ann", now=NOW)


async def test_a_link_that_holds_is_kept_and_not_asked_about_again(desk: Desk) -> None:
    item, li, guest = await led_by_a_shared_phone(desk)
    assert item.doubts_own_link
    done = await desk.accept(item)
    assert (done.state, done.decision, done.chosen) == ("accepted", "link_kept", li.member_id)
    assert await desk.are_one(li, guest)
    edges = await desk.db.scalar(text("SELECT count(*) FROM member_edge"))
    assert edges == 0
    await put(desk, item, li)
    assert item.review_id not in {one.review_id for one in await desk.open()}
    assert (await desk.undo(item)).doubts_own_link


@pytest.mark.parametrize("verb", ["reject", "not_same"])
async def test_a_link_that_does_not_hold_is_cut(desk: Desk, verb: str) -> None:
    item, li, guest = await led_by_a_shared_phone(desk)
    done = await getattr(desk, verb)(item)
    whose = await desk.whose(li, guest)
    assert whose[0] == li.member_id
    assert whose[1] != li.member_id
    assert await are_apart(desk.db, member_ids=whose)
    claims = await desk.db.scalars(
        text("""
          SELECT DISTINCT member_id FROM identifier_claim
          WHERE account_id = :id AND closed_at IS NULL"""),
        {"id": guest.account_id},
    )
    assert claims.all() == [whose[1]]
    assert (await desk.see(HOTEL, "g-1", day=1, email="mei@example.org")).member_id == whose[1]
    assert (await desk.see(SHOP, "c-9", day=1, email="mei@example.org")).member_id == whose[1]
    assert await getattr(desk, verb)(item) == done
    again = await desk.undo(item)
    assert (again.state, again.doubts_own_link) == ("open", True)
    assert await desk.whose(li, guest) == [li.member_id, li.member_id]
    await getattr(desk, verb)(item)
    assert await desk.whose(li, guest) == whose


async def test_what_was_merged_meanwhile_is_settled(desk: Desk) -> None:
    item, li, guest = await in_doubt(desk)
    await desk.merge(li.member_id, guest.member_id)
    settled = await desk.item(item.review_id)
    assert (settled.state, settled.decision, settled.note) == ("dismissed", "settled", "merged")
    with pytest.raises(ReviewDecided):
        await desk.accept(item)
    with pytest.raises(NothingToUndo):
        await desk.undo(item)
    assert await steps(desk, item) == ["dismissed"]


async def test_a_candidate_is_whoever_it_is_now(desk: Desk) -> None:
    item, li, guest = await in_doubt(desk)
    older = (await desk.see(DINER, "d-1", phone=OTHER_PHONE)).member_id
    await desk.merge(li.member_id, older)
    assert (await desk.item(item.review_id)).doubted == [li.member_id]
    assert (await desk.accept(item, candidate_id=older)).state == "accepted"
    assert older is not None
    assert await desk.are_one(li, guest)


async def test_a_decision_settles_other_doubts_of_the_pair_and_undoing_asks_them_again(
    desk: Desk,
) -> None:
    item, li, guest = await in_doubt(desk)
    await put(desk, item, li, reason="name_contradicts")
    one, other = await desk.open()
    await desk.not_same(one)
    settled = await desk.item(other.review_id)
    assert (settled.state, settled.decision) == ("dismissed", "settled")
    await desk.undo(one)
    assert [i.review_id for i in await desk.open()] == [one.review_id, other.review_id]
    await desk.accept(other)
    assert await desk.open() == []
    await desk.undo(other)
    assert len(await desk.open()) == 2
    assert not await desk.are_one(li, guest)


def _likely(account: Resolved, candidate: Resolved) -> Proposal:
    assert account.account_id is not None
    assert candidate.member_id is not None
    return Proposal(
        account_id=account.account_id, candidate_id=candidate.member_id, score=6.0, evidence={}
    )


async def test_who_was_merged_with_one_of_two_people_is_not_the_other(desk: Desk) -> None:
    li, mei, guest, diner = [
        await desk.see(business, f"p-{n}", phone=f"+861391020304{n}")
        for n, business in enumerate((SHOP, DINER, HOTEL, DINER))
    ]
    await propose(desk.db, proposals=[_likely(guest, li), _likely(diner, mei)], now=NOW)
    await desk.merge(li.member_id, mei.member_id)
    await desk.merge(guest.member_id, diner.member_id)
    one, other = await desk.open()
    await desk.not_same(one)
    settled = await desk.item(other.review_id)
    assert (settled.state, settled.decision, settled.doubted) == ("dismissed", "settled", [])
    await desk.undo(one)
    assert [i.review_id for i in await desk.open()] == [one.review_id, other.review_id]


async def test_with_who_is_erased_goes_what_else_was_answered(desk: Desk) -> None:
    item, li, guest = await in_doubt(desk)
    han = await desk.see(DINER, "d-1", phone=OTHER_PHONE, name="Li Lei")
    await put(desk, item, han)
    await propose(desk.db, proposals=[_likely(guest, han)], now=NOW)
    [_, likely] = await desk.open()
    await desk.not_same(likely)
    assert (await desk.only()).doubted == [li.member_id]
    assert li.member_id is not None
    gone = await family(desk.db, member_id=li.member_id)
    await forget(desk.db, family=gone, actor="ann", now=NOW)
    settled = await desk.item(item.review_id)
    assert (settled.state, settled.decision, settled.note) == ("dismissed", "settled", "erased")
    assert settled.candidates == [han.member_id]


async def test_a_doubt_met_again_while_decided_joins_the_one_that_is_undone(desk: Desk) -> None:
    item, li, _ = await in_doubt(desk)
    await desk.reject(item)
    han = await desk.see(DINER, "d-1", phone=OTHER_PHONE, name="Li Lei")
    await put(desk, item, han)
    later = await desk.only()
    await desk.undo(item)
    assert (await desk.only()).doubted == [li.member_id, han.member_id]
    joined = await desk.item(later.review_id)
    assert (joined.state, joined.decision) == ("dismissed", "joined")


async def test_undoing_in_any_order_leaves_what_stands(desk: Desk) -> None:
    """A chain of four people, merged by three reviews: each edge falls with its own review."""
    people = [
        await desk.see(1 + n % 3, f"p-{n}", name="Li Lei", email=f"p{n}@example.com")
        for n in range(4)
    ]
    pairs = list(pairwise(people))
    await propose(desk.db, proposals=[_likely(other, one) for one, other in pairs], now=NOW)
    items = await desk.open()
    assert len(items) == 3
    for order in permutations(range(3)):
        for n in range(3):
            await desk.accept(items[n])
        assert await desk.are_one(*people)
        standing = {0, 1, 2}
        for n in order:
            await desk.undo(items[n])
            standing.discard(n)
            for k, pair in enumerate(pairs):
                assert await desk.are_one(*pair) is (k in standing)
        assert len(await desk.open()) == 3


async def test_undoing_a_merge_that_others_hold_together_settles_the_review(desk: Desk) -> None:
    item, li, guest = await in_doubt(desk)
    han = await desk.see(DINER, "d-1", phone=OTHER_PHONE)
    await desk.accept(item)
    await desk.merge(guest.member_id, han.member_id)
    await desk.split(li.member_id, guest.account_id)
    assert not await desk.are_one(li, guest)
    again = await desk.undo(item)
    assert (again.state, again.decision) == ("dismissed", "settled")
    assert await steps(desk, item) == ["accepted", "undone", "dismissed"]


async def test_a_review_is_given_to_somebody(desk: Desk) -> None:
    item, *_ = await in_doubt(desk)

    async def assign(to: str | None) -> str | None:
        facts = {"review_id": item.review_id, "actor": "ann", "now": NOW}
        return (await assign_review(desk.db, to=to, **facts)).assigned_to

    assert [await assign(to) for to in ("bo", "bo", None)] == ["bo", "bo", None]
    assert await steps(desk, item) == ["assigned", "assigned"]
    with pytest.raises(Malformed):
        await assign(" ")
    with pytest.raises(NothingToUndo):
        await desk.undo(item)


async def _unknown(desk: Desk, item: ReviewItem) -> None:
    await desk.db.execute(text("DELETE FROM review_item"))
    await desk.accept(item)


async def _wordless(desk: Desk, item: ReviewItem) -> None:
    await desk.reject(item, note="\n")


async def _nobody(desk: Desk, item: ReviewItem) -> None:
    await desk.not_same(item, actor="")


@pytest.mark.parametrize(
    ("wrong", "refusal"), [(_unknown, NotFound), (_wordless, Malformed), (_nobody, Malformed)]
)
async def test_what_makes_no_sense_is_refused(
    desk: Desk, wrong: Callable[[Desk, ReviewItem], Awaitable[None]], refusal: type[Exception]
) -> None:
    item, *_ = await in_doubt(desk)
    with pytest.raises(refusal):
        await wrong(desk, item)


async def test_proposals_of_an_account_are_one_review_with_evidence_by_candidate(
    desk: Desk,
) -> None:
    people = [await desk.see(SHOP, f"c-{n}", email=f"{n}@example.com") for n in range(3)]

    async def weigh(account: Resolved, candidate: Resolved, score: float) -> None:
        assert account.account_id is not None
        assert candidate.member_id is not None
        evidence = {"weights": [{"field": "name", "level": "equal", "weight": score}]}
        proposal = Proposal(
            account_id=account.account_id,
            candidate_id=candidate.member_id,
            score=score,
            evidence=evidence,
        )
        await propose(desk.db, proposals=[proposal], now=NOW)

    await weigh(people[0], people[1], 9.0)
    await weigh(people[0], people[2], 7.0)
    await weigh(people[0], people[1], 5.0)
    await weigh(people[1], people[0], 9.5)
    item = await desk.only()
    assert (item.candidates, item.score) == ([p.member_id for p in people[1:]], 7.0)
    assert item.evidence is not None
    assert {key: one["score"] for key, one in item.evidence.items()} == {
        str(people[1].member_id): 5.0,
        str(people[2].member_id): 7.0,
    }
    await desk.reject(item)
    await weigh(people[1], people[0], 9.5)
    assert await desk.open() == []


async def test_doubts_of_before_keep_their_meaning(empty_database_url: str) -> None:
    await asyncio.to_thread(upgrade, empty_database_url, "0020_merging")
    engine = make_engine(empty_database_url, poolclass=NullPool)
    try:
        async with engine.begin() as db:
            await open_businesses(db, ["CN"])
            for statement in (
                "INSERT INTO member (member_id, created_at) VALUES (1, :now), (2, :now)",
                """INSERT INTO account (account_id, business_id, external_id, created_at)
                   VALUES (1, 1, 'a', :now), (2, 1, 'b', :now)""",
                """INSERT INTO account_link (account_id, member_id, method, valid)
                   SELECT n, n, 'birth', tstzrange(:now, NULL) FROM generate_series(1, 2) n""",
                """INSERT INTO review_item (account_id, reason, candidates, opened_at, state)
                   VALUES (1, 'second_account', '{2}', :now, 'linked'),
                     (1, 'name_contradicts', '{2}', :now, 'dismissed'),
                     (1, 'shared_identifier', '{1}', :now, 'open'),
                     (2, 'several_owners', '{1}', :now, 'open')""",
            ):
                await db.execute(text(statement), {"now": NOW})
        await asyncio.to_thread(upgrade, empty_database_url)
        async with engine.begin() as db:
            items = [await read_review(db, review_id=n) for n in range(1, 5)]
    finally:
        await engine.dispose()
    assert [(one.state, one.chosen, list(one.doubted)) for one in items] == [
        ("accepted", 2, [2]),
        ("dismissed", None, [2]),
        ("open", None, [1]),
        ("open", None, [1]),
    ]
    assert [one.doubts_own_link for one in items] == [False, False, True, False]
    assert {one.decided_at for one in items[:2]} == {NOW}
