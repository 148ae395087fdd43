"""Members are told 30, 7 and 1 days ahead, once each, of what still ends when they are told."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.crypto.keyring import Keyring
from hub.jobs.actors import work_through
from hub.jobs.runtime import Runtime
from hub.ledger.post import post_extension, post_reinstatement
from hub.ledger.verify import verify
from hub.outbox.messages import take
from hub.points.give_notice import give_notice
from hub.points.notice_queries import expiry_notices
from hub.points.notify_expiry import KEPT_DAYS, notify_expiry
from hub.programme.policies import ExpiryPolicy
from tests.support.expiring import STARS, asked, at, earned, given, spent, swept, told

QUARTERS = ExpiryPolicy(mode="months", months=12, round_up_to="quarter")
IDLE = ExpiryPolicy(mode="inactivity", idle_months=24)
SPRING = date(2026, 2, 10)
LAST = date(2027, 3, 31)


def before(days: int, last: date = LAST) -> date:
    return last - timedelta(days=days)


async def extended(db: AsyncConnection, lot_id: int, until: date, today: date) -> None:
    """Give a lot of member 1 more time."""
    await post_extension(
        db,
        business_id=1,
        idempotency_key=f"extend-{until}",
        member_id=1,
        lot_id=lot_id,
        until=until,
        reason="was ill",
        business_date=today,
        today=today,
        now=at(today),
    )


async def test_a_member_is_told_30_7_and_1_days_ahead(db: AsyncConnection) -> None:
    await earned(db, 1, 100, SPRING, by=QUARTERS)
    await earned(db, 1, 20, date(2026, 3, 1), by=QUARTERS)
    heard = {}
    for days in range(40, -2, -1):
        today = before(days)
        await swept(db, today)
        if await asked(db, today) and await given(db, today):
            heard[days] = (await told(db))[-1]
    assert heard == {days: (1, LAST, days, 120, "given") for days in (30, 7, 1)}
    assert await verify(db) == []


async def test_it_may_be_asked_for_any_number_of_times(db: AsyncConnection) -> None:
    await earned(db, 1, 100, SPRING, by=QUARTERS)
    assert [await asked(db, before(30)) for _ in range(3)] == [1, 0, 0]
    assert [await given(db, before(30)), await given(db, before(30))] == [1, 0]
    assert await asked(db, before(29)) == 0


@pytest.mark.parametrize(
    ("days", "distance"), [(29, 30), (8, 30), (6, 7), (2, 7), (0, 1)], ids=lambda n: f"{n}"
)
async def test_a_day_that_was_missed_is_made_up_for_by_the_nearest_distance(
    db: AsyncConnection, days: int, distance: int
) -> None:
    await earned(db, 1, 100, SPRING, by=QUARTERS)
    assert await asked(db, before(days)) == 1
    assert await told(db) == [(1, LAST, distance, 100, "due")]


async def test_the_figure_is_that_of_the_moment_it_is_given(db: AsyncConnection) -> None:
    for member in (1, 2):
        await earned(db, member, 100, SPRING, by=QUARTERS)
    await asked(db, before(7))
    await spent(db, 1, 100, before(7))
    await spent(db, 2, 30, before(7))
    assert await given(db, before(7)) == 1
    assert await told(db) == [(1, LAST, 7, 100, "withdrawn"), (2, LAST, 7, 70, "given")]
    notices = await expiry_notices(db, member_ids=[1, 2], today=before(7))
    assert [[(n.points, n.unit_code) for n in notices[member]] for member in (1, 2)] == [
        [],
        [(70, "points")],
    ]


async def test_a_notice_that_waited_too_long_is_not_given(db: AsyncConnection) -> None:
    await earned(db, 1, 100, SPRING, by=QUARTERS)
    await asked(db, before(1))
    assert await given(db, before(-1)) == 0
    assert await told(db) == [(1, LAST, 1, 100, "withdrawn")]


async def test_points_that_end_by_idleness_are_told_of_until_their_member_comes(
    db: AsyncConnection,
) -> None:
    last = date(2028, 2, 10)
    await earned(db, 1, 100, SPRING, by=IDLE)
    await earned(db, 2, 100, SPRING, by=IDLE, activates_at=at(SPRING + timedelta(days=3)))
    assert await asked(db, before(30, last)) == 2
    assert await given(db, before(30, last)) == 2
    await spent(db, 1, 10, before(20, last))
    assert await asked(db, before(7, last)) == 1
    assert await given(db, before(7, last)) == 1
    assert await told(db) == [
        (1, last, 30, 100, "withdrawn"),
        (2, last, 30, 100, "given"),
        (2, last, 7, 100, "given"),
    ]


async def test_more_time_withdraws_a_notice_and_the_new_date_has_its_own(
    db: AsyncConnection,
) -> None:
    lot_id = await earned(db, 1, 100, SPRING, by=QUARTERS)
    await asked(db, before(30))
    await given(db, before(30))
    await asked(db, before(7))
    later = date(2027, 6, 30)
    await extended(db, lot_id, later, before(7))
    assert await given(db, before(7)) == 0
    assert await asked(db, before(6)) == 0
    assert await told(db) == [(1, LAST, 30, 100, "withdrawn"), (1, LAST, 7, 100, "withdrawn")]
    assert await asked(db, before(30, later)) == 1
    assert await given(db, before(30, later)) == 1
    assert (await told(db))[-1] == (1, later, 30, 100, "given")
    assert await verify(db) == []


async def test_what_is_reinstated_has_notices_of_its_new_date(db: AsyncConnection) -> None:
    lot_id = await earned(db, 1, 100, SPRING, by=QUARTERS)
    today = before(-1)
    await swept(db, today)
    grace = before(-31)
    await post_reinstatement(
        db,
        business_id=1,
        idempotency_key="sorry",
        member_id=1,
        lot_id=lot_id,
        points=None,
        until=grace,
        reason="was ill",
        occurred_at=at(today),
        business_date=today,
        now=at(today),
    )
    assert await asked(db, today) == 1
    assert await given(db, today) == 1
    assert await told(db) == [(1, grace, 30, 100, "given")]
    assert await verify(db) == []


async def test_each_unit_has_a_notice(db: AsyncConnection) -> None:
    await db.execute(
        text("INSERT INTO point_unit VALUES (:unit, 'stars', 'Stars', 'spendable')"),
        {"unit": STARS},
    )
    await earned(db, 1, 100, SPRING, by=QUARTERS)
    await earned(db, 1, 5, SPRING, by=QUARTERS, unit=STARS)
    assert await asked(db, before(1)) == 2
    assert await given(db, before(1)) == 2
    notices = (await expiry_notices(db, member_ids=[1], today=LAST))[1]
    assert [(n.unit_code, n.points) for n in notices] == [("points", 100), ("stars", 5)]
    assert await expiry_notices(db, member_ids=[1], today=before(-1)) == {1: []}


async def test_the_nearest_notice_of_a_day_takes_the_place_of_the_others(
    db: AsyncConnection,
) -> None:
    await earned(db, 1, 100, SPRING, by=QUARTERS)
    for days in (30, 7):
        await asked(db, before(days))
        await given(db, before(days))
    [notice] = (await expiry_notices(db, member_ids=[1], today=before(7)))[1]
    assert (notice.days_ahead, notice.given_at) == (7, at(before(7)))


async def test_jobs_that_overlap_ask_once_and_one_that_was_killed_is_gone_on_with(
    engine: AsyncEngine,
) -> None:
    today = before(7)
    async with engine.begin() as db:
        for member in range(1, 31):
            await earned(db, member, 100, SPRING, by=QUARTERS)

    async def job(chunks: int) -> int:
        due, after = 0, 0
        for _ in range(chunks):
            async with engine.begin() as db:
                chunk = await notify_expiry(
                    db,
                    today=today,
                    now=at(today),
                    available_at=at(today),
                    after_member_id=after,
                    members=4,
                )
            due += chunk.due
            if chunk.last_member_id is None:
                break
            after = chunk.last_member_id
        return due

    killed = await job(2)
    assert killed == 8
    assert killed + sum(await asyncio.gather(*(job(100) for _ in range(3)))) == 30
    async with engine.connect() as db:
        messages = await db.scalar(text("SELECT count(DISTINCT reference) FROM outbox_message"))
        assert (len(await told(db)), messages) == (30, 30)


async def test_a_worker_that_dies_before_its_commit_gives_the_notice_once(
    engine: AsyncEngine,
) -> None:
    today = before(7)
    async with engine.begin() as db:
        await earned(db, 1, 100, SPRING, by=QUARTERS)
        await asked(db, today)
        ids = list(await db.scalars(text("SELECT message_id FROM outbox_message")))
    async with engine.connect() as db:
        [message] = await take(db, ids)
        numbers = [message.reference]
        assert await give_notice(db, notice_ids=numbers, today=today, now=at(today)) == 1
    gave: list[int] = []

    async def work(db: AsyncConnection, references: Sequence[int]) -> None:
        gave.append(await give_notice(db, notice_ids=references, today=today, now=at(today)))

    runtime = Runtime(engine=engine, keyring=Keyring.generate())
    await asyncio.gather(*(work_through(runtime, ids, work) for _ in range(4)))
    assert gave == [1]
    async with engine.connect() as db:
        assert await told(db) == [(1, LAST, 7, 100, "given")]


async def test_what_ended_long_ago_is_forgotten(db: AsyncConnection) -> None:
    await earned(db, 1, 100, SPRING, by=QUARTERS)
    await asked(db, before(1))
    await given(db, before(1))
    await asked(db, LAST + timedelta(days=KEPT_DAYS))
    assert len(await told(db)) == 1
    await asked(db, LAST + timedelta(days=KEPT_DAYS + 1))
    assert await told(db) == []
