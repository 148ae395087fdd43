"""Points that are recognised together: by their policy's first month, and as one from then on."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.ageing import ageing
from hub.accounting.propose_from_history import propose_from_history
from hub.accounting.standing import states_of
from hub.errors import Conflict, Rejected
from tests.support.accounting import Shops, account_for, expect, make_selling_group, recognised
from tests.support.settlement import noon

JANUARY, FEBRUARY, APRIL = date(2026, 1, 1), date(2026, 2, 1), date(2026, 4, 1)


@pytest.fixture
async def till(db: AsyncConnection) -> Shops:
    """Retail recognises all together; it has sold in January and February, which is recognised."""
    ids = await make_selling_group(db, [], points_per_unit="1", codes=("retail",), months=2)
    shops = Shops(db, ids)
    await account_for(db, ids["retail"], value="0.02", since=JANUARY, portfolio="all")
    await expect(db, ids["retail"], "0.5", since=JANUARY)
    # 9,900 and 19,800 yuan for as many points worth 0.02, half expected: 1 of 101 is for points.
    for month, sold, spent in ((1, 9_900, 2_970), (2, 19_800, 5_940)):
        await shops.sell("retail", 1, sold * 100, date(2026, month, 5))
        await shops.redeem("retail", 1, spent, date(2026, month, 6))
        await recognised(db, f"2026-0{month}", datetime(2026, month + 1, 1, tzinfo=UTC))
    return shops


async def test_two_months_are_one_portfolio(till: Shops) -> None:
    (state,) = await states_of(till.db, period_id=2)
    assert (state.cohort, state.issued, state.redeemed) == (JANUARY, 29_700, 8_910)
    # 294.06 less 294.06 x 8,910 / 14,850.
    assert f"{state.allocated:.2f} {state.liability:.2f}" == "294.06 117.62"
    aged = await ageing(till.db, on=date(2026, 3, 1))
    assert f"{sum(one.amount or 0 for one in aged):.2f}" == "117.62"


async def test_a_new_policy_begins_after_what_is_recognised_together(till: Shops) -> None:
    retail = till.ids["retail"]
    for since in (FEBRUARY, date(2025, 12, 1)):
        with pytest.raises(Rejected):
            await account_for(till.db, retail, value="0.03", since=since)
    with pytest.raises(Conflict):
        await account_for(till.db, retail, value="0.02", since=JANUARY, portfolio="month")
    await account_for(till.db, retail, value="0.03", since=APRIL, portfolio="month")
    await till.sell("retail", 1, 100_000, date(2026, 3, 5))
    await recognised(till.db, "2026-03", datetime(2026, 4, 1, tzinfo=UTC))
    await till.sell("retail", 1, 100_000, date(2026, 4, 5))
    await recognised(till.db, "2026-04", datetime(2026, 5, 1, tzinfo=UTC))
    states = await states_of(till.db, period_id=4)
    assert [(one.cohort, one.issued) for one in states] == [(JANUARY, 30_700), (APRIL, 1_000)]


async def test_history_tells_of_months_and_not_of_all_together(till: Shops) -> None:
    with pytest.raises(Rejected, match="state a rate"):
        await propose_from_history(
            till.db,
            issuer_id=till.ids["retail"],
            effective_from=APRIL,
            maker="mei",
            now=noon(APRIL),
        )
