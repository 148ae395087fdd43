"""The golden month through the hub's own doors: signed events, tills, the sweep, the close."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.ledger.verify import verify
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.settlement.queries import bilaterals, net_positions, totals
from tests.integration.test_golden_accounting import (
    EXPECTED_REDEMPTION,
    VALUE,
    as_expected,
)
from tests.integration.test_golden_settlement import EXPECTED
from tests.support.accounting import account_for, expect, recognised
from tests.support.golden import PERIOD, GoldenMonth, yuan

CLOSING = """
SELECT issuer_id, sum(remaining)::bigint AS points FROM lot GROUP BY issuer_id"""


@pytest.fixture
async def month(engine: AsyncEngine, database_url: str) -> AsyncIterator[GoldenMonth]:
    played = GoldenMonth(engine, database_url)
    await played.configure()
    await played.play()
    yield played
    await played.aclose()


async def test_the_month_that_connectors_tell_is_recognised_to_the_cent(
    month: GoldenMonth,
) -> None:
    letters = {business_id: letter for letter, business_id in month.ids.items()}
    september, october = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    async with month.engine.begin() as db:
        for issuer_id in letters:
            await account_for(db, issuer_id, value=VALUE, since=date(2026, 9, 1))
            await expect(db, issuer_id, EXPECTED_REDEMPTION, since=date(2026, 9, 1))
        before = await recognised(db, "2026-09", september)
        owed = {letters[roll.owner_id]: roll.movements[-1].minor for roll in before}
        assert owed == {"R": 396_00, "H": 198_00}
        rolls = {letters[one.owner_id]: one for one in await recognised(db, PERIOD, october)}
        await as_expected(db, rolls["R"].period_id, rolls, letters)


async def test_the_month_that_connectors_tell_settles_to_the_cent(month: GoldenMonth) -> None:
    letters = {business_id: letter for letter, business_id in month.ids.items()}
    async with month.engine.begin() as db:
        assert await verify(db) == []
        dead = await db.scalars(text("SELECT reason FROM delivery WHERE state <> 'done'"))
        assert dead.all() == []
        points = {letters[row.issuer_id]: row.points for row in await db.execute(text(CLOSING))}
        assert {**points, "group": sum(points.values())} == EXPECTED["closing_points"]
        at = datetime(2026, 11, 1, tzinfo=UTC)
        period = await open_period(db, code=PERIOD, now=at)
        await close(db, period_id=period.period_id, now=at)
        ids = [period.period_id]
        gross = (await totals(db, period_ids=ids))[period.period_id]
        pairs = (await bilaterals(db, period_ids=ids))[period.period_id]
        nets = (await net_positions(db, period_ids=ids))[period.period_id]
    owed = {f"{letters[t.debtor_id]}>{letters[t.creditor_id]}": yuan(t.gross_minor) for t in gross}
    assert owed | {"gross": yuan(sum(t.gross_minor for t in gross))} == EXPECTED["obligations"]
    assert {
        f"{letters[p.debtor_id]}>{letters[p.creditor_id]}": yuan(p.net_minor) for p in pairs
    } == EXPECTED["bilateral"]
    assert {letters[n.business_id]: yuan(n.net_minor) for n in nets} == EXPECTED["multilateral_net"]
