"""Lines: each of what is due becomes one, whatever it is, in whatever order it is placed."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.tiers.promote import promote
from hub.benefits.use import use
from hub.errors import Conflict, NotFound, Rejected
from hub.programme.agree import AgreementConfig, AgreementTaxConfig
from hub.settlement.close_period import close
from hub.settlement.codes import LineKind
from hub.settlement.open_period import open_period
from hub.settlement.place import place
from hub.settlement.queries import obligations, period_by_id, totals
from hub.settlement.verify import CHECKS, check
from tests.support.benefits import SPRING, ZONE, make_ladder, qualify
from tests.support.settlement import Tills, agreement, make_group, noon, statement_csv

DAY = date(2026, 3, 12)
NOW = noon(date(2026, 4, 1))


def taxed(kind: str, rate: str, *, included: bool = False) -> AgreementConfig:
    tax = AgreementTaxConfig.model_validate(
        {"kind": kind, "code": "VAT6", "rate": rate, "included": included}
    )
    return agreement("retail", "hotel", "0.008").model_copy(update={"taxes": (tax,)})


async def _close_march(db: AsyncConnection) -> int:
    period = await open_period(db, code="2026-03", now=NOW)
    await close(db, period_id=period.period_id, now=NOW)
    return period.period_id


async def test_a_line_is_looked_for_by_its_key(db: AsyncConnection) -> None:
    """However many lines the planner takes there to be: it knows nothing of new ones."""
    await make_group(db, [agreement("retail", "hotel", "0.008")])
    period = await open_period(db, code="2026-03", now=NOW)
    await db.execute(text("UPDATE settlement_period SET state = 'closing'"))
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _u: object, statement: str, facts: Any, *_: object) -> None:
        asked.append((statement, facts))

    event.listen(db.sync_connection, "before_cursor_execute", note)
    await place(db, period=period, from_date=DAY, to_date=DAY)
    event.remove(db.sync_connection, "before_cursor_execute", note)
    looking = [one for one in asked if "FROM obligation o" in one[0]]
    assert looking
    for statement, facts in looking:
        plan = await db.exec_driver_sql(f"EXPLAIN {statement}", facts)
        nodes = [row[0].strip() for row in plan]
        reads = [n for n, node in enumerate(nodes) if "on obligation o" in node]
        assert reads
        for n in reads:
            assert "tx_id" in nodes[n + 1], nodes


async def _use(db: AsyncConnection, ids: dict[str, int], where: str, key: str) -> None:
    await use(
        db,
        member_id=1,
        benefit_code="late-checkout",
        business_id=ids[where],
        idempotency_key=key,
        now=noon(DAY),
    )


async def _benefits(db: AsyncConnection) -> dict[str, int]:
    ids = await make_ladder(db)
    await qualify(db, 1, 1000, SPRING, key="spring", business_id=ids["retail"])
    await promote(db, member_ids=[1], now=SPRING, time_zone=ZONE)
    return ids


async def test_a_used_benefit_is_owed_by_who_funds_it_to_who_served_it(
    db: AsyncConnection,
) -> None:
    ids = await _benefits(db)
    for key in ("stay-1", "stay-1", "stay-2", "stay-3"):  # one twice, and one over the quota
        await _use(db, ids, "hotel", key)
    period_id = await _close_march(db)
    lines = await obligations(db, period_id=period_id, first=10)
    assert [(ln.debtor_id, ln.creditor_id, ln.kind, ln.points, ln.amount) for ln in lines] == [
        (ids["retail"], ids["hotel"], LineKind.BENEFIT, 0, Decimal(88))
    ] * 2
    assert {ln.business_date for ln in lines} == {DAY}
    (total,) = (await totals(db, period_ids=[period_id]))[period_id]
    assert (total.net_minor, total.tax_minor, total.gross_minor) == (17600, 0, 17600)
    told = (await statement_csv(db, period_id=period_id, business_id=ids["hotel"])).decode()
    assert told.count(",benefit,,\r\n") == 3  # two lines and their gross
    assert [name for name in CHECKS if await check(db, name) is not None] == []


async def test_tax_comes_on_top_of_the_total_and_is_rounded_once(db: AsyncConnection) -> None:
    ids = await make_group(db, [taxed("redemption", "0.06")])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 1000, DAY)
    for points in (313, 313):  # 2.504 each, together 5.008, of which 0.06 is 0.3006
        await tills.redeem("hotel", 1, points, DAY)
    period_id = await _close_march(db)
    (total,) = (await totals(db, period_ids=[period_id]))[period_id]
    assert (total.exact, total.rounding) == (Decimal("5.008"), Decimal("0.002"))
    assert (total.net_minor, total.tax_minor, total.gross_minor) == (501, 30, 531)
    told = (await statement_csv(db, period_id=period_id, business_id=ids["hotel"])).decode()
    assert "tax,retail,hotel,CNY,0.30,,,,,,,,,,,redemption,VAT6 6%,\r\n" in told


async def test_an_included_tax_is_taken_out_of_what_was_agreed(db: AsyncConnection) -> None:
    ids = await make_group(db, [taxed("redemption", "0.06", included=True)])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 1000, DAY)
    spent = await tills.redeem("hotel", 1, 1000, DAY)
    await tills.restore("hotel", 1, spent, 500, DAY)
    period_id = await _close_march(db)
    (total,) = (await totals(db, period_ids=[period_id]))[period_id]
    assert (total.net_minor, total.tax_minor, total.gross_minor) == (377, 23, 400)


async def test_a_tax_is_of_its_kind_of_line_alone(db: AsyncConnection) -> None:
    ids = await _benefits(db)
    await make_group(db, [taxed("benefit", "0.06")])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 1000, DAY)
    await tills.redeem("hotel", 1, 1000, DAY)
    await _use(db, ids, "hotel", "stay")
    period_id = await _close_march(db)
    found = (await totals(db, period_ids=[period_id]))[period_id]
    assert [(t.kind, t.tax_code, t.net_minor, t.tax_minor) for t in found] == [
        (LineKind.REDEMPTION, None, 800, 0),
        (LineKind.BENEFIT, "VAT6", 8800, 528),
    ]


@pytest.mark.parametrize("after", ["0.07", None], ids=["another rate", "none any more"])
async def test_the_taxes_of_a_version_in_force_cannot_be_edited(
    db: AsyncConnection, after: str | None
) -> None:
    agreed = taxed("redemption", "0.06")
    await make_group(db, [agreed])
    await make_group(db, [agreed])  # the same again changes nothing
    edited = agreement("retail", "hotel", "0.008") if after is None else taxed("redemption", after)
    with pytest.raises(Conflict) as refused:
        await make_group(db, [edited])
    assert refused.value.field == "taxes"


@pytest.mark.parametrize("field", ["issuer", "acceptor"])
async def test_an_agreement_with_an_unknown_business_is_refused(
    db: AsyncConnection, field: str
) -> None:
    wrong = agreement("retail", "hotel", "0.008").model_copy(update={field: "spa"})
    with pytest.raises(NotFound, match="no business 'spa'") as refused:
        await make_group(db, [wrong])
    assert refused.value.facts["field"] == field


def test_a_kind_is_taxed_once() -> None:
    tax = {"kind": "benefit", "code": "VAT6", "rate": "0.06"}
    with pytest.raises(ValueError, match="name each kind of line once"):
        AgreementConfig.model_validate(
            {
                "issuer": "retail",
                "acceptor": "hotel",
                "effective_from": "2026-01-01",
                "currency": "CNY",
                "taxes": [tax, tax],
            }
        )


async def _closing(db: AsyncConnection) -> int:
    period = await open_period(db, code="2026-03", now=NOW)
    await db.execute(text("UPDATE settlement_period SET state = 'closing'"))
    return period.period_id


async def test_what_a_snapshot_does_not_see_is_left_for_later(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        before = await db.scalar(text("SELECT pg_current_snapshot()::text"))
        ids = await make_group(db, [agreement("retail", "hotel", "0.008")])
        tills = Tills(db, ids)
        await tills.issue("retail", 1, 100, DAY)
        await tills.redeem("hotel", 1, 100, DAY)
    async with engine.begin() as db:
        period = await period_by_id(db, await _closing(db))
        assert await place(db, period=period, from_date=DAY, to_date=DAY, snapshot=before) == 0
        assert await place(db, period=period, from_date=DAY, to_date=DAY) == 1


async def test_what_has_no_price_leaves_no_line_of_what_has(db: AsyncConnection) -> None:
    ids = await make_group(db, [agreement("retail", "hotel", "0.008")])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 200, DAY)
    for where in ("hotel", "dining"):
        await tills.redeem(where, 1, 100, DAY)
    period = await period_by_id(db, await _closing(db))
    with pytest.raises(Rejected, match="retail>dining"):
        await place(db, period=period, from_date=DAY, to_date=DAY)
    assert await obligations(db, period_id=period.period_id, first=10) == []


MARCH = [date(2026, 3, 1) + timedelta(days=n) for n in range(31)]
SLICES = st.lists(st.tuples(st.sampled_from(MARCH), st.sampled_from(MARCH)), max_size=8)


@pytest.fixture
async def march(db: AsyncConnection) -> int:
    """Redemptions, restorations and uses over a month that is closing."""
    ids = await _benefits(db)
    await make_group(db, [agreement("retail", "hotel", "0.008", since=date(2026, 1, 1))])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 10_000, MARCH[0])
    for n, day in enumerate(MARCH[:28:3]):
        spent = await tills.redeem("hotel", 1, 100 + n, day)
        await tills.restore("hotel", 1, spent, 50 + n, MARCH[n + 20])
    await _use(db, ids, "hotel", "stay")
    return await _closing(db)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(slices=SLICES)
async def test_in_whatever_slices_each_is_placed_once(
    db: AsyncConnection, march: int, slices: Sequence[tuple[date, date]]
) -> None:
    period = await period_by_id(db, march)
    async with db.begin_nested() as attempt:
        written = 0
        for one, other in slices:
            first, last = min(one, other), max(one, other)
            written += await place(db, period=period, from_date=first, to_date=last)
        written += await place(db, period=period, from_date=None, to_date=period.ends_on)
        assert await place(db, period=period, from_date=None, to_date=period.ends_on) == 0
        lines = await obligations(db, period_id=march, first=1000)
        assert written == len(lines) == 21
        assert sum(line.points for line in lines) == sum(50 for _ in range(10))
        await attempt.rollback()
