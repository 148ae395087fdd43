"""Sightings, merges and decisions at once: nobody waits in a circle, and what is left agrees."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.errors import Rejected, Unavailable
from hub.intake.accept_review import accept_review
from hub.intake.mark_not_the_same import mark_not_the_same
from hub.intake.merge_members import merge_members
from hub.intake.reject_review import reject_review
from hub.intake.undo_review import undo_review
from tests.support.businesses import open_businesses
from tests.support.reviews import NOW, Desk

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
    async with engine.connect() as db:
        left = await db.scalars(
            text("""
              SELECT review_id FROM review_item WHERE state = 'open'
                AND review_doubts(account_id, candidates, link_doubted) = '{}'""")
        )
        assert left.all() == []
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
