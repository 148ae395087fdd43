"""Sightings, merges and decisions at once: nobody waits in a circle, and what is left agrees."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.errors import Rejected, Unavailable
from hub.intake.accept_review import accept_review
from hub.intake.mark_not_the_same import mark_not_the_same
from hub.intake.merge_members import merge_members
from hub.intake.reject_review import reject_review
from hub.intake.undo_review import undo_review
from hub.members.family import lock_family
from hub.members.forget import forget
from hub.members.resolve import Resolved
from hub.members.review.propose import Proposal, propose
from tests.support.businesses import open_businesses
from tests.support.reviews import NOW, OTHER_PHONE, PHONE, Desk
from tests.support.waiting import until

PEOPLE, ROUNDS, CLERKS = 6, 30, 4
VERBS = (accept_review, reject_review, mark_not_the_same, undo_review)


async def _committed(
    engine: AsyncEngine, do: Callable[[AsyncConnection], Awaitable[object]]
) -> str:
    """Do something in a transaction of its own; say what came of it."""
    try:
        async with engine.begin() as db:
            await do(db)
    except (Rejected, Unavailable) as no:
        return no.code
    return "done"


async def _asking_nothing(engine: AsyncEngine) -> list[int]:
    """Return the open reviews in which there is nothing left to ask."""
    async with engine.connect() as db:
        left = await db.scalars(
            text("""
              SELECT review_id FROM review_item WHERE state = 'open'
                AND review_doubts(account_id, candidates, link_doubted) = '{}'""")
        )
        return list(left.all())


async def test_sightings_merges_and_decisions_go_together(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await open_businesses(db, ["CN", "CN", "GB"])
        desk = Desk(db)
        for n in range(PEOPLE):
            await desk.see(1, f"c-{n}", phone=f"+86139102030{n:02}", name="李雷")
            await desk.see(2, f"g-{n}", phone_said=f"+86139102030{n:02}", name="李雷")

    async def clerk(seed: int) -> list[str]:
        random, came = Random(seed), []
        async with engine.connect() as db:
            ids = list(await db.scalars(text("SELECT review_id FROM review_item")))
        for _ in range(ROUNDS):
            verb, review_id = random.choice(VERBS), random.choice(ids)

            async def decide(db: AsyncConnection) -> object:
                return await verb(db, review_id=review_id, actor=f"clerk-{seed}", now=NOW)  # noqa: B023

            came.append(await _committed(engine, decide))
        return came

    async def tills(seed: int) -> list[str]:
        random, came = Random(seed), []
        for _ in range(ROUNDS):
            n, other = random.randrange(PEOPLE), random.randrange(PEOPLE)

            async def see(db: AsyncConnection) -> object:
                said = {"phone_said": f"+86139102030{other:02}", "name": "李雷"}  # noqa: B023
                return await Desk(db).see(3, f"d-{n}", day=1, **said)  # noqa: B023

            came.append(await _committed(engine, see))
        return came

    async def merger(seed: int) -> list[str]:
        random, came = Random(seed), []
        for _ in range(ROUNDS // 3):
            async with engine.connect() as db:
                ids = list(await db.scalars(text("SELECT member_id FROM member")))

            async def merge(db: AsyncConnection) -> object:
                pair = random.sample(ids, 2)  # noqa: B023
                return await merge_members(
                    db, member_ids=pair, method="batch", actor="batch", now=NOW
                )

            came.append(await _committed(engine, merge))
        return came

    came = await asyncio.gather(
        *(clerk(seed) for seed in range(CLERKS)), tills(90), tills(91), merger(99)
    )
    codes = {code for one in came for code in one}
    assert {"done", "review_decided"} <= codes
    assert await _asking_nothing(engine) == []
    async with engine.connect() as db:
        both = await db.scalar(
            text("""
              SELECT count(*) FROM non_match n JOIN member a ON a.member_id = n.low_member_id
              JOIN member b ON b.member_id = n.high_member_id
              WHERE n.lifted_at IS NULL AND coalesce(a.merged_into, a.member_id)
                = coalesce(b.merged_into, b.member_id)""")
        )
        assert both == 0
        unlike = await db.scalar(
            text("""
              SELECT count(*) FROM review_item r WHERE r.state <> 'open' AND r.state <> (
                SELECT s.done FROM review_step s WHERE s.review_id = r.review_id
                  AND s.done NOT IN ('assigned', 'undone') ORDER BY step_id DESC LIMIT 1)""")
        )
        assert unlike == 0


async def _at_once(
    engine: AsyncEngine,
    first: Callable[[AsyncConnection], Awaitable[object]],
    second: Callable[[AsyncConnection], Awaitable[object]],
) -> str:
    """Do something while something else is done and not committed; say what came of it."""
    async with engine.begin() as db:
        await first(db)
        beside = asyncio.create_task(_committed(engine, second))
        waiting = asyncio.create_task(until(engine, waiting=1))
        await asyncio.wait((beside, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
    return await beside


async def _in_doubt(engine: AsyncEngine) -> tuple[Resolved, Resolved, Resolved]:
    """A guest who gives a customer's phone without proof, for a first review; and somebody else."""
    async with engine.begin() as db:
        await open_businesses(db, ["CN", "CN", "GB"])
        desk = Desk(db)
        li = await desk.see(1, "c-1", phone=PHONE, name="李雷")
        guest = await desk.see(2, "g-1", phone_said=PHONE, name="Li Lei")
        han = await desk.see(3, "d-1", phone=OTHER_PHONE, name="Han Mei")
    return li, guest, han


@pytest.mark.parametrize("undone_first", [True, False])
async def test_a_review_is_undone_before_or_after_a_merge_that_answers_it(
    engine: AsyncEngine, undone_first: bool
) -> None:
    li, guest, _ = await _in_doubt(engine)
    async with engine.begin() as db:
        await Desk(db).reject(await Desk(db).only())

    async def undo(db: AsyncConnection) -> object:
        return await undo_review(db, review_id=1, actor="ann", now=NOW)

    async def merge(db: AsyncConnection) -> object:
        return await Desk(db).merge(li.member_id, guest.member_id)

    if undone_first:
        assert await _at_once(engine, undo, merge) == "done"
    else:
        assert await _at_once(engine, merge, undo) == "unavailable"
        assert await _committed(engine, undo) == "done"
    assert await _asking_nothing(engine) == []
    async with engine.connect() as db:
        assert (await Desk(db).item(1)).decision == "settled"


@pytest.mark.parametrize("proposed_first", [True, False])
async def test_it_is_proposed_before_or_after_a_merge_that_answers_it(
    engine: AsyncEngine, proposed_first: bool
) -> None:
    li, _, han = await _in_doubt(engine)
    assert han.account_id is not None
    assert li.member_id is not None
    likely = Proposal(account_id=han.account_id, candidate_id=li.member_id, score=6.0, evidence={})

    async def ask(db: AsyncConnection) -> object:
        return await propose(db, proposals=[likely], now=NOW)

    async def merge(db: AsyncConnection) -> object:
        return await Desk(db).merge(li.member_id, han.member_id)

    if proposed_first:
        assert await _at_once(engine, ask, merge) == "done"
    else:
        assert await _at_once(engine, merge, ask) == "unavailable"
    assert await _asking_nothing(engine) == []


async def test_nobody_is_proposed_who_is_erased_at_this_moment(engine: AsyncEngine) -> None:
    li, _, han = await _in_doubt(engine)
    assert han.account_id is not None
    assert li.member_id is not None
    likely = Proposal(account_id=han.account_id, candidate_id=li.member_id, score=6.0, evidence={})

    async def erase(db: AsyncConnection) -> object:
        assert li.member_id is not None
        gone = await lock_family(db, member_id=li.member_id)
        return await forget(db, family=gone, actor="ann", now=NOW)

    async def ask(db: AsyncConnection) -> object:
        return await propose(db, proposals=[likely], now=NOW)

    assert await _at_once(engine, erase, ask) == "done"
    assert await _asking_nothing(engine) == []


@pytest.mark.parametrize("verb", [accept_review, reject_review, mark_not_the_same])
async def test_what_is_answered_at_this_moment_is_not_decided_otherwise(
    engine: AsyncEngine, verb: Callable[..., Awaitable[object]]
) -> None:
    li, guest, _ = await _in_doubt(engine)

    async def merge(db: AsyncConnection) -> object:
        return await Desk(db).merge(li.member_id, guest.member_id)

    async def decide(db: AsyncConnection) -> object:
        return await verb(db, review_id=1, actor="ann", now=NOW)

    assert await _at_once(engine, merge, decide) == "unavailable"
    assert await _committed(engine, decide) == "review_decided"
    async with engine.connect() as db:
        assert (await Desk(db).item(1)).decision == "settled"
