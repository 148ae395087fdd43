"""A period moves on by people: checked, closed by one, approved by another, issued, never back."""

import asyncio
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.closing.actors import check_and_close
from hub.closing.ask_close import CLOSE, ask_close
from hub.closing.check_period import check_period
from hub.crypto.keyring import Keyring
from hub.errors import Forbidden, HubError, Malformed, NotFound, Rejected
from hub.jobs.runtime import Runtime
from hub.outbox.messages import last_error
from hub.settlement.approve_period import approve_period
from hub.settlement.close_period import close
from hub.settlement.fix_dues import fix_dues
from hub.settlement.issue_period import issue_period
from hub.settlement.life import Found, checks, events, keep_checks
from hub.settlement.open_period import open_period
from hub.settlement.queries import period_by_id
from hub.settlement.waive_check import waive_check
from tests.support.settlement import KINDS, Tills, agreement, make_group, noon

CODE, IN_IT = "2026-11", date(2026, 11, 10)
NOW = noon(date(2026, 12, 2))
LEFT_OVER = """
INSERT INTO delivery (connection_id, state, body, body_sha256, received_at)
SELECT connection_id, :state, '', '', :at FROM connection"""
CONNECTION = """
INSERT INTO connection (code, business_id, connector, settings)
SELECT 'till', min(business_id), 'canonical', '' FROM business"""


async def group_with_a_line(db: AsyncConnection) -> None:
    ids = await make_group(db, [agreement(i, a, "0.008") for i in KINDS for a in KINDS if i != a])
    await db.execute(text(CONNECTION))
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 1000, IN_IT)
    await tills.redeem("hotel", 1, 500, IN_IT)


async def closed_by(db: AsyncConnection, actor: str) -> int:
    await group_with_a_line(db)
    period = await ask_close(db, code=CODE, actor=actor, now=NOW)
    await close(db, period_id=period.period_id, now=NOW)
    return period.period_id


async def test_one_closes_another_approves_and_it_is_issued(db: AsyncConnection) -> None:
    period_id = await closed_by(db, "chen")
    with pytest.raises(Forbidden):
        await approve_period(db, period_id=period_id, actor="chen", now=NOW)
    with pytest.raises(Rejected):
        await issue_period(db, period_id=period_id, actor="li", now=NOW)
    for _ in range(2):
        stands = await approve_period(db, period_id=period_id, actor="li", note="agreed", now=NOW)
        assert stands.state == "approved"
    for _ in range(2):
        stands = await issue_period(db, period_id=period_id, actor="chen", now=NOW)
        assert stands.state == "issued"
    # What came of the first asking stands, whoever asks again.
    again = await approve_period(db, period_id=period_id, actor="zhao", now=NOW)
    assert again.state == "issued"
    reached = (await events(db, period_ids=[period_id]))[period_id]
    assert [(one.state, one.actor, one.note) for one in reached] == [
        ("closing", "chen", None), ("draft", "chen", None), ("approved", "li", "agreed"),
        ("issued", "chen", None),
    ]  # fmt: skip


async def test_nobody_who_asked_for_the_close_approves_it(db: AsyncConnection) -> None:
    await group_with_a_line(db)
    for n, actor in enumerate(("chen", "li")):
        period = await ask_close(db, code=CODE, actor=actor, now=NOW + timedelta(minutes=n))
    await close(db, period_id=period.period_id, now=NOW)
    for actor in ("chen", "li"):
        with pytest.raises(Forbidden):
            await approve_period(db, period_id=period.period_id, actor=actor, now=NOW)
    reached = (await events(db, period_ids=[period.period_id]))[period.period_id]
    assert [(one.state, one.actor) for one in reached] == [("closing", "li"), ("draft", "li")]
    await approve_period(db, period_id=period.period_id, actor="zhao", now=NOW)


async def test_the_database_itself_wants_a_second_person(db: AsyncConnection) -> None:
    period_id = await closed_by(db, "chen")
    await fix_dues(db, period=await period_by_id(db, period_id))
    await db.execute(text("UPDATE settlement_period SET state = 'approved'"))
    for actor in ("chen", "li"):
        add = text("INSERT INTO settlement_event VALUES (:period, now(), 'approved', :actor)")
        facts = {"period": period_id, "actor": actor}
        if actor == "chen":
            with pytest.raises(DBAPIError, match="who asked for its close cannot approve"):
                async with db.begin_nested():
                    await db.execute(add, facts)
        else:
            await db.execute(add, facts)
    with pytest.raises(DBAPIError, match="append-only"):
        async with db.begin_nested():
            await db.execute(text("UPDATE settlement_event SET actor = 'chen'"))
    with pytest.raises(DBAPIError, match="append-only"):
        async with db.begin_nested():
            await db.execute(text("DELETE FROM settlement_close_request"))
    with pytest.raises(DBAPIError, match="is not paid"):
        async with db.begin_nested():
            await db.execute(
                text("INSERT INTO settlement_event VALUES (:period, now(), 'paid', 'li')"),
                {"period": period_id},
            )


async def test_a_period_that_is_not_over_or_not_closed_is_not_moved(db: AsyncConnection) -> None:
    await group_with_a_line(db)
    with pytest.raises(Rejected, match="closed from 2026-11-30 16:00 UTC on"):
        await ask_close(db, code=CODE, actor="chen", now=noon(date(2026, 11, 30)))
    period = await ask_close(db, code=CODE, actor="chen", early=True, now=noon(IN_IT))
    for verb in (approve_period, issue_period):
        with pytest.raises(Rejected, match="open"):
            await verb(db, period_id=period.period_id, actor="li", now=NOW)
        with pytest.raises(NotFound):
            await verb(db, period_id=99, actor="li", now=NOW)
        with pytest.raises(Malformed):
            await verb(db, period_id=period.period_id, actor="", now=NOW)


async def test_two_who_approve_at_once_are_one(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        period_id = await closed_by(db, "chen")

    async def approve(actor: str) -> str:
        async with engine.begin() as db:
            return (await approve_period(db, period_id=period_id, actor=actor, now=NOW)).state

    assert await asyncio.gather(*(approve(f"li-{n}") for n in range(8))) == ["approved"] * 8
    async with engine.connect() as db:
        reached = (await events(db, period_ids=[period_id]))[period_id]
    assert [one.state for one in reached] == ["closing", "draft", "approved"]


@pytest.mark.parametrize(
    ("left", "code", "after"),
    [
        ("UPDATE lot SET remaining = remaining - 1", "invariants", "I4"),
        ("dead", "dead_letters", "1 dead letters"),
        ("pending", "deliveries", "1 deliveries"),
    ],
)
async def test_what_is_not_in_order_is_found(
    db: AsyncConnection, left: str, code: str, after: str
) -> None:
    await group_with_a_line(db)
    period = await open_period(db, code=CODE, now=NOW)
    found = await check_period(db, period_id=period.period_id, now=NOW)
    assert [one.code for one in found if one.stops] == []
    if " " in left:
        await db.execute(text(left))
    else:
        await db.execute(text(LEFT_OVER), {"state": left, "at": NOW - timedelta(minutes=2)})
    found = await check_period(db, period_id=period.period_id, now=NOW)
    (stops,) = [one for one in found if one.stops]
    assert stops.code == code
    assert after in stops.says


async def test_a_waiver_is_for_what_was_found_and_nothing_later(db: AsyncConnection) -> None:
    await group_with_a_line(db)
    period_id = (await open_period(db, code=CODE, now=NOW)).period_id
    waiver = {"period_id": period_id, "code": "dead_letters", "actor": "chen", "now": NOW}
    with pytest.raises(NotFound):
        await waive_check(db, **waiver, reason="an old test")
    await check_period(db, period_id=period_id, now=NOW)
    with pytest.raises(Rejected, match="nothing amiss"):
        await waive_check(db, **waiver, reason="an old test")
    for letters in (1, 2):
        await db.execute(text(LEFT_OVER), {"state": "dead", "at": NOW - timedelta(days=1)})
        found = await check_period(db, period_id=period_id, now=NOW)
        assert [one.code for one in found if one.stops] == ["dead_letters"]
        with pytest.raises(Malformed):
            await waive_check(db, **waiver, reason="")
        for _ in range(2):
            waived = await waive_check(db, **waiver, reason=f"{letters} old tests")
            assert (waived.stops, waived.waived_by) == (False, "chen")
    await close(db, period_id=period_id, now=NOW)
    with pytest.raises(Rejected, match="draft"):
        await waive_check(db, **waiver, reason="too late")
    with pytest.raises(Forbidden, match="waived"):
        await approve_period(db, period_id=period_id, actor="chen", now=NOW)
    await db.execute(text(LEFT_OVER), {"state": "dead", "at": NOW})
    kept = await check_period(db, period_id=period_id, now=NOW)
    assert [one.says for one in kept if one.facts] == [
        "2 dead letters: mend and `hub intake replay` them, or waive them"
    ]


async def test_what_a_check_no_longer_looks_at_is_gone(db: AsyncConnection) -> None:
    period_id = (await open_period(db, code=CODE, now=NOW)).period_id
    for code in ("one", "two"):
        found = [Found(code=code, facts={"n": 1}, says="n is 1")]
        await keep_checks(db, period_id=period_id, found=found, now=NOW)
    assert [one.code for one in (await checks(db, period_ids=[period_id]))[period_id]] == ["two"]


async def test_a_worker_closes_what_nothing_stops_and_says_what_does(
    engine: AsyncEngine,
) -> None:
    worker = Runtime(engine=engine, keyring=Keyring.generate())
    async with engine.begin() as db:
        await group_with_a_line(db)
        await db.execute(text(LEFT_OVER), {"state": "dead", "at": NOW - timedelta(days=1)})

    async def ask(actor: str, minutes: int) -> int:
        async with engine.begin() as db:
            asked_at = NOW + timedelta(minutes=minutes)
            period = await ask_close(db, code=CODE, actor=actor, now=asked_at)
            ids = await db.scalars(text("SELECT message_id FROM outbox_message ORDER BY 1"))
        await check_and_close(worker, list(ids))
        return period.period_id

    period_id = await ask("chen", 0)
    async with engine.begin() as db:
        assert (await period_by_id(db, period_id)).state == "open"
        why = await last_error(db, actor=CLOSE, reference=period_id)
        assert why is not None
        assert "dead_letters: 1 dead letters" in why
        await waive_check(
            db, period_id=period_id, code="dead_letters", reason="old", actor="chen", now=NOW
        )
    await ask("li", 1)
    await ask("zhao", 2)
    async with engine.connect() as db:
        reached = (await events(db, period_ids=[period_id]))[period_id]
        assert [(one.state, one.actor) for one in reached] == [("closing", "li"), ("draft", "li")]
        assert await db.scalar(text("SELECT count(*) FROM outbox_message")) == 0


async def test_names_and_notes_have_bounds(db: AsyncConnection) -> None:
    period_id = await closed_by(db, "chen")
    for wrong in (
        {"actor": "x" * 201},
        {"actor": "a\nb"},
        {"actor": "li "},
        {"actor": "li", "note": "x" * 501},
    ):
        with pytest.raises(HubError):
            await approve_period(db, period_id=period_id, now=NOW, **wrong)
