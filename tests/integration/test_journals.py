"""Journals are posted once, balance by the database's own word, and never change."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.accounting.journals.post_journals import post_journals
from hub.accounting.journals.queries import books, chart, journals
from hub.accounting.recognise import recognise
from hub.errors import Conflict, Malformed, NotFound, Rejected
from hub.programme.chart import (
    BooksConfig,
    ChartAccountConfig,
    ChartConfig,
    Purpose,
    apply_books,
    apply_chart,
)
from hub.settlement.approve_period import approve_period
from hub.settlement.queries import Period
from tests.integration.test_recognition import SALES_DAY, end_of, shops
from tests.support.accounting import Shops, account_for, closed, recognised
from tests.support.journals import CHART, SINCE, booked, give_charts, posted
from tests.support.settlement import noon

AT = noon(date(2026, 2, 3))
ENTITIES = ("retail-ltd", "hotel-ltd", "dining-ltd")
COPY = """
INSERT INTO journal (period_id, dated, total_minor, legal_entity_id, currency, reference)
SELECT period_id, dated, total_minor, legal_entity_id, 'USD', 'MORE' FROM journal LIMIT 1"""
MORE_LINES = """
INSERT INTO journal_line (journal_id, line_no, debit_minor, credit_minor, points, business_id,
  event, purpose, account_code, account_name)
SELECT journal_id, line_no + 100, debit_minor, credit_minor, 0, business_id, event, purpose,
  account_code, account_name FROM journal_line"""


async def january(db: AsyncConnection, *, charts: tuple[str, ...] = ENTITIES) -> Period:
    """Sell at a shop, redeem at a hotel, and close the month."""
    till = await shops(db)
    if charts:
        await give_charts(db, *charts)
    await _trade(till)
    return await closed(db, "2026-01", end_of(2026, 1))


async def _trade(till: Shops) -> None:
    await till.sell("retail", 1, 99_000_00, SALES_DAY)
    await till.redeem("hotel", 1, 39_600, date(2026, 1, 20))


async def recognise_it(db: AsyncConnection, period: Period) -> None:
    await recognise(db, period_id=period.period_id, actor="wei", now=AT)


async def test_a_period_is_posted_once(db: AsyncConnection) -> None:
    period = await january(db)
    await recognise_it(db, period)
    first = await posted(db, period.period_id, AT)
    assert set(first) == {"retail-ltd", "hotel-ltd"}
    again = await post_journals(
        db, period_id=period.period_id, actor="somebody else", now=noon(date(2026, 3, 1))
    )
    assert {one.legal_entity: one for one in again} == first
    assert {one.actor for one in again} == {"wei"}
    references = [one.reference for one in again]
    assert len(set(references)) == 2
    assert all(len(name) <= 16 and name.startswith("J202601-") for name in references)
    of_hotel = await journals(
        db, period_ids=[period.period_id], legal_entity_id=first["hotel-ltd"].legal_entity_id
    )
    assert of_hotel[period.period_id] == [first["hotel-ltd"]]


async def test_what_is_not_approved_or_not_recognised_is_not_posted(db: AsyncConnection) -> None:
    period = await january(db)
    with pytest.raises(Rejected, match="once it is approved"):
        await post_journals(db, period_id=period.period_id, actor="wei", now=AT)
    await approve_period(db, period_id=period.period_id, actor="li", now=AT)
    with pytest.raises(Rejected, match="recognise it first"):
        await post_journals(db, period_id=period.period_id, actor="wei", now=AT)
    with pytest.raises(NotFound):
        await post_journals(db, period_id=period.period_id + 1, actor="wei", now=AT)
    with pytest.raises(Malformed):
        await post_journals(db, period_id=period.period_id, actor="", now=AT)


async def test_all_accounts_that_are_missing_are_named(db: AsyncConnection) -> None:
    period = await january(db, charts=())
    await recognise_it(db, period)
    with pytest.raises(Rejected) as told:
        await posted(db, period.period_id, AT)
    assert "retail-ltd: contract_liability, goods_revenue, payable, points_revenue, " in str(
        told.value.message
    )
    assert "hotel-ltd: partner_revenue, receivable" in told.value.message
    await give_charts(db, *ENTITIES)
    assert len(await posted(db, period.period_id, AT)) == 2


async def test_the_database_refuses_what_does_not_balance(db: AsyncConnection) -> None:
    period = await january(db)
    await recognise_it(db, period)
    for statement, says in (
        ("UPDATE journal_line SET credit_minor = credit_minor + 1 WHERE credit_minor > 0", "only"),
        ("DELETE FROM journal", "only"),
        ("TRUNCATE journal_line", "only"),
        ("UPDATE journal_posting SET actor = 'x'", "only"),
        ("UPDATE chart_account SET code = 'x'", "only"),
    ):
        with pytest.raises(DBAPIError, match=f"append-{says}"):
            async with db.begin_nested():
                await db.execute(text(statement))
    await posted(db, period.period_id, AT)
    for statement in (COPY, MORE_LINES + " WHERE line_no = 1"):
        async with db.begin_nested() as attempt:
            await db.execute(text(statement))
            with pytest.raises(DBAPIError, match="does not balance"):
                await db.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
            await attempt.rollback()


async def test_nothing_is_added_to_what_was_posted(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        period = await january(db)
        await recognise_it(db, period)
    async with engine.begin() as db:
        await posted(db, period.period_id, AT)
    for statement in (COPY, MORE_LINES):
        with pytest.raises(DBAPIError, match="I8"):
            async with engine.begin() as db:
                await db.execute(text(statement))


async def test_of_two_who_post_at_once_one_posts(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        period = await january(db)
        await recognise_it(db, period)
        await approve_period(db, period_id=period.period_id, actor="li", now=AT)

    async def post(actor: str) -> list[str]:
        async with engine.begin() as db:
            made = await post_journals(db, period_id=period.period_id, actor=actor, now=AT)
            return [one.actor for one in made]

    found = await asyncio.gather(*(post(f"clerk {n}") for n in range(4)))
    assert len({tuple(actors) for actors in found}) == 1


async def test_an_account_changes_from_a_day_on_and_is_never_edited(db: AsyncConnection) -> None:
    await shops(db)
    await give_charts(db, *ENTITIES)
    await give_charts(db, *ENTITIES)  # the same again is nothing new
    entity_id = await db.scalar(
        text("SELECT legal_entity_id FROM legal_entity WHERE code = 'hotel-ltd'")
    )
    renamed = ChartAccountConfig(code="2203", name="Payable to partners")

    def new(since: date) -> ChartConfig:
        return ChartConfig(
            legal_entities=("hotel-ltd",),
            effective_from=since,
            accounts={Purpose.PAYABLE: renamed},
        )

    def numbered(since: date, entity: str = "hotel-ltd") -> BooksConfig:
        return BooksConfig(legal_entity=entity, effective_from=since, company_code="H9")

    for refused in (apply_chart(db, new(SINCE)), apply_books(db, numbered(SINCE))):
        with pytest.raises(Conflict):
            await refused
    march = date(2026, 3, 1)
    await apply_chart(db, new(march))
    await apply_books(db, numbered(march))
    before, after = [await chart(db, on=day) for day in (date(2026, 2, 28), march)]
    key = entity_id, Purpose.PAYABLE
    assert (before[key].code, after[key].code) == (CHART[Purpose.PAYABLE].code, "2203")
    assert before.keys() == after.keys()
    codes = [(await books(db, on=day))[entity_id].company_code for day in (SINCE, march)]
    assert codes == ["101", "H9"]
    with pytest.raises(NotFound):
        await apply_books(db, numbered(SINCE, "nobody"))


async def test_an_agent_books_the_difference(db: AsyncConnection) -> None:
    till = await shops(db)
    await give_charts(db, *ENTITIES)
    february = date(2026, 2, 1)
    await account_for(db, till.ids["retail"], value="0.01", since=february, role="agent")
    await _trade(till)
    await recognised(db, "2026-01", end_of(2026, 1))
    await till.redeem("hotel", 1, 10_000, date(2026, 2, 20))
    period = await closed(db, "2026-02", end_of(2026, 2))
    await recognise_it(db, period)
    made = (await posted(db, period.period_id, noon(date(2026, 3, 3))))["retail-ltd"]
    sums = booked(made)
    assert {Purpose.REDEMPTION_COST, Purpose.POINTS_REVENUE} & set(sums) == set()
    assert sums[Purpose.PAYABLE] == -8000
    deferred = sums[Purpose.CONTRACT_LIABILITY]
    assert deferred > 8000
    assert sums[Purpose.AGENCY_REVENUE] == -(deferred - 8000)


def test_a_chart_names_what_it_is_for() -> None:
    good = {"legal_entities": ["x"], "effective_from": "2026-01-01"}
    for accounts in (
        {},
        {"no_such_purpose": {"code": "1", "name": "x"}},
        {"payable": {"code": "1 2", "name": "x"}},
        {"payable": {"code": "1", "name": "two\nlines"}},
        {"payable": {"code": "1", "name": ""}},
    ):
        with pytest.raises(ValueError, match="accounts"):
            ChartConfig.model_validate({**good, "accounts": accounts})
