"""Closing a period: what it takes, what it refuses, and that two at once do it once."""

import asyncio
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.db.keyset import Stretch
from hub.errors import NotFound, Rejected
from hub.points.expire import expire
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.settlement.queries import obligations, period_by_code, periods, totals
from tests.support.settlement import KINDS, Tills, agreement, make_group, noon, statement_csv

NOVEMBER, DECEMBER = date(2026, 11, 10), date(2026, 12, 10)
EVERY_PAIR = [(i, a) for i in KINDS for a in KINDS if i != a]
ALL = [agreement(i, a, "0.008") for i, a in EVERY_PAIR]


async def _settle(db: AsyncConnection, code: str):
    now = noon(date(2027, 1, 1))
    period = await open_period(db, code=code, now=now)
    return await close(db, period_id=period.period_id, now=now)


async def _lines(db: AsyncConnection, code: str):
    period = await period_by_code(db, code)
    return await obligations(db, period_id=period.period_id, first=1000)


async def test_a_redemption_over_two_issuers_is_a_line_for_each(db: AsyncConnection) -> None:
    ids = await make_group(db, ALL)
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 300, NOVEMBER, expires_on=date(2027, 1, 31))
    await tills.issue("hotel", 1, 500, NOVEMBER)
    tx_id = await tills.redeem("dining", 1, 450, NOVEMBER)
    closed = await _settle(db, "2026-11")
    assert closed.lines == 2
    lines = await _lines(db, "2026-11")
    assert [(line.tx_id, line.issuer_id, line.points, line.amount) for line in lines] == [
        (tx_id, ids["retail"], 300, Decimal("2.4")),
        (tx_id, ids["hotel"], 150, Decimal("1.2")),
    ]
    assert {n.business_id: n.net_minor for n in closed.net_positions} == {
        ids["retail"]: -240,
        ids["hotel"]: -120,
        ids["dining"]: 360,
    }


async def test_points_spent_where_they_were_earned_oblige_nobody(db: AsyncConnection) -> None:
    ids = await make_group(db, [])
    tills = Tills(db, ids)
    await tills.issue("hotel", 1, 500, NOVEMBER, expires_on=NOVEMBER)
    await tills.redeem("hotel", 1, 200, NOVEMBER)
    await expire(db, today=date(2026, 11, 11), now=noon(date(2026, 11, 11)))
    closed = await _settle(db, "2026-11")
    assert (closed.period.state, closed.lines, closed.net_positions) == ("draft", 0, [])
    told = await statement_csv(db, period_id=closed.period.period_id, business_id=ids["hotel"])
    assert told.decode().splitlines()[1:] == [
        "2026-11,hotel,period,,,,,,,,,,,,,,,,,business dates 2026-11-01/2026-11-30"
    ]


async def test_the_rate_is_the_one_agreed_on_the_business_date(db: AsyncConnection) -> None:
    raised = agreement("retail", "dining", "0.01", since=date(2026, 11, 15))
    ids = await make_group(db, [agreement("retail", "dining", "0.008"), raised])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 1000, NOVEMBER)
    for day in (14, 15):
        await tills.redeem("dining", 1, 100, date(2026, 11, day))
    await _settle(db, "2026-11")
    assert [str(line.rate) for line in await _lines(db, "2026-11")] == ["0.00800000", "0.01000000"]


async def test_what_is_given_back_cancels_at_the_price_it_was_taken_at(db: AsyncConnection) -> None:
    raised = agreement("retail", "dining", "0.01", since=date(2026, 12, 1))
    ids = await make_group(db, [agreement("retail", "dining", "0.008"), raised])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 1000, NOVEMBER)
    spent = await tills.redeem("dining", 1, 400, NOVEMBER)
    await _settle(db, "2026-11")
    await tills.restore("dining", 1, spent, 150, DECEMBER)
    await tills.restore("dining", 1, spent, 250, DECEMBER)
    closed = await _settle(db, "2026-12")
    lines = await _lines(db, "2026-12")
    assert [(line.points, str(line.amount)) for line in lines] == [
        (-150, "-1.20000000"),
        (-250, "-2.00000000"),
    ]
    assert {n.business_id: n.net_minor for n in closed.net_positions} == {
        ids["retail"]: 320,
        ids["dining"]: -320,
    }


async def test_without_an_agreement_nothing_is_closed_and_every_pair_is_named(
    db: AsyncConnection,
) -> None:
    ids = await make_group(db, [agreement("retail", "hotel", "0.008", since=DECEMBER)])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 1000, NOVEMBER)
    for acceptor in ("hotel", "dining"):
        await tills.redeem(acceptor, 1, 100, NOVEMBER)
    now = noon(date(2026, 12, 1))
    period = await open_period(db, code="2026-11", now=now)
    with pytest.raises(Rejected) as refused:
        await close(db, period_id=period.period_id, now=now)
    assert refused.value.facts["pairs"] == ["retail>hotel", "retail>dining"]
    assert "no agreement in force" in refused.value.message
    assert (await period_by_code(db, "2026-11")).state == "open"
    assert await _lines(db, "2026-11") == []

    await make_group(db, [agreement("retail", a, "0.008") for a in ("hotel", "dining")])
    assert (await close(db, period_id=period.period_id, now=now)).lines == 2


async def test_a_lots_cost_is_not_paid_in_a_currency_it_is_not_in(db: AsyncConnection) -> None:
    ids = await make_group(db, [agreement("retail", "dining", None, currency="JPY")])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 1000, NOVEMBER)
    await tills.redeem("dining", 1, 100, NOVEMBER)
    with pytest.raises(Rejected, match="another currency than the points' cost"):
        await _settle(db, "2026-11")


async def test_a_total_is_rounded_once_in_its_currency_and_says_so(db: AsyncConnection) -> None:
    pairs = [
        agreement("retail", "hotel", "0.0025"),
        agreement("retail", "dining", "0.35", currency="JPY"),
    ]
    ids = await make_group(db, pairs)
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 1000, NOVEMBER)
    for _ in range(3):
        await tills.redeem("hotel", 1, 2, NOVEMBER)
    await tills.redeem("dining", 1, 10, NOVEMBER)
    closed = await _settle(db, "2026-11")
    period_id = closed.period.period_id
    found = (await totals(db, period_ids=[period_id]))[period_id]
    assert [(t.currency, str(t.exact), t.gross_minor, str(t.rounding)) for t in found] == [
        ("CNY", "0.01500000", 2, "0.00500000"),
        ("JPY", "3.50000000", 4, "0.50000000"),
    ]


async def test_what_was_posted_but_not_committed_is_settled_next_as_late(
    engine: AsyncEngine,
) -> None:
    async with engine.begin() as db:
        ids = await make_group(db, ALL)
        await Tills(db, ids).issue("retail", 1, 1000, NOVEMBER)
    async with engine.connect() as slow:
        await Tills(slow, ids).redeem("dining", 1, 100, NOVEMBER)
        async with engine.begin() as db:
            assert (await _settle(db, "2026-11")).lines == 0
        await slow.commit()
    async with engine.begin() as db:
        december = await _settle(db, "2026-12")
    assert (december.lines, december.late) == (1, 1)


async def test_of_eight_closes_at_once_one_closes_and_the_others_find_it_closed(
    engine: AsyncEngine,
) -> None:
    now = noon(date(2026, 12, 1))
    async with engine.begin() as db:
        tills = Tills(db, await make_group(db, ALL))
        await tills.issue("retail", 1, 10_000, NOVEMBER)
        for _ in range(20):
            await tills.redeem("dining", 1, 100, NOVEMBER)
        period = await open_period(db, code="2026-11", now=now)

    async def one() -> bool:
        async with engine.begin() as db:
            closed = await close(db, period_id=period.period_id, now=now)
            assert (closed.period.state, closed.lines) == ("draft", 20)
            return closed.replayed

    assert sorted(await asyncio.gather(*(one() for _ in range(8)))) == [False] + [True] * 7


async def test_periods_close_in_order_and_open_only_ahead(db: AsyncConnection) -> None:
    await make_group(db, ALL)
    now = noon(date(2026, 12, 1))
    november = await open_period(db, code="2026-11", now=now)
    december = await open_period(db, code="2026-12", now=now)
    with pytest.raises(Rejected, match="period 2026-11 is still open"):
        await close(db, period_id=december.period_id, now=now)
    with pytest.raises(Rejected, match="2026-11 covers its days"):
        await open_period(db, code="2026-11-03", now=now)
    await close(db, period_id=november.period_id, now=now)
    assert (await open_period(db, code="2026-11", now=now)).state == "draft"
    with pytest.raises(Rejected, match="2026-11 covers its days or was closed after"):
        await open_period(db, code="2026-10", now=now)
    assert [period.code for period in await periods(db, stretch=Stretch(9))] == [
        "2026-12",
        "2026-11",
    ]


async def test_an_unknown_period_is_not_found(db: AsyncConnection) -> None:
    with pytest.raises(NotFound):
        await close(db, period_id=404, now=noon(NOVEMBER))


async def test_lines_are_paged_without_gap_or_repeat_and_kept_to_a_business(
    db: AsyncConnection,
) -> None:
    tills = Tills(db, await make_group(db, ALL))
    await tills.issue("retail", 1, 10_000, NOVEMBER)
    for day in (5, 3, 9, 3, 7):
        await tills.redeem("dining", 1, 10, date(2026, 11, day))
        await tills.redeem("hotel", 1, 10, date(2026, 11, day))
    period_id = (await _settle(db, "2026-11")).period.period_id
    everything = await obligations(db, period_id=period_id, first=100)
    paged, after = [], None
    while page := await obligations(db, period_id=period_id, first=3, after=after):
        paged += page
        after = page[-1].cursor
    assert (paged, len(paged)) == (everything, 10)
    days = [line.business_date for line in everything]
    assert days == sorted(days)
    hotel = await obligations(db, period_id=period_id, business_id=tills.ids["hotel"], first=100)
    assert {line.acceptor_id for line in hotel} == {tills.ids["hotel"]}
    assert len(hotel) == 5
    posted = await db.scalar(text("SELECT count(*) FROM entry WHERE credit = 20"))
    assert posted == len(everything)
