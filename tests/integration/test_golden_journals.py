"""The golden month in every book: journals and elimination to the cent, from sales to the group."""

from collections import defaultdict
from datetime import UTC, date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.allocations import allocations
from hub.accounting.journals.eliminate import eliminate
from hub.accounting.journals.lines import Journal
from hub.accounting.recognise import recognise
from hub.programme.chart import Purpose
from tests.integration import test_golden_accounting as golden
from tests.integration.test_golden_settlement import CODE, LETTER, RATE, SPENDER
from tests.support.accounting import (
    Shops,
    account_for,
    closed,
    expect,
    make_selling_group,
    recognised,
)
from tests.support.golden_figures import EXPECTED, cents
from tests.support.journals import booked, give_charts, posted
from tests.support.settlement import agreement

BOOKED = {
    "R": {
        Purpose.GOODS_REVENUE: 99000 - 990,
        Purpose.POINTS_REVENUE: -59400 + 990,
        Purpose.CONTRACT_LIABILITY: -(79200 - 39600),
        Purpose.REDEMPTION_COST: 31200,
        Purpose.PARTNER_REVENUE: -12800,
        Purpose.PAYABLE: -31200,
        Purpose.RECEIVABLE: 12800,
    },
    "H": {
        Purpose.GOODS_REVENUE: 49500,
        Purpose.POINTS_REVENUE: -24750,
        Purpose.CONTRACT_LIABILITY: -(44550 - 19800),
        Purpose.REDEMPTION_COST: 16000,
        Purpose.PARTNER_REVENUE: -24800,
        Purpose.PAYABLE: -16000,
        Purpose.RECEIVABLE: 24800,
    },
    "D": {
        Purpose.GOODS_REVENUE: 19800 - 198,
        Purpose.POINTS_REVENUE: -6930,
        Purpose.CONTRACT_LIABILITY: -12672,
        Purpose.REDEMPTION_COST: 4800,
        Purpose.PARTNER_REVENUE: -14400,
        Purpose.PAYABLE: -4800,
        Purpose.RECEIVABLE: 14400,
    },
}


async def november(db: AsyncConnection) -> tuple[Shops, int]:
    """Sell, redeem, close and recognise the golden month."""
    pairs = [(i, a) for i in LETTER for a in LETTER if i != a]
    ids = await make_selling_group(
        db,
        [agreement(i, a, RATE) for i, a in pairs],
        points_per_unit=golden.POINTS_PER_YUAN,
    )
    for issuer_id in ids.values():
        await account_for(db, issuer_id, value=golden.VALUE, since=date(2026, 10, 1))
        await expect(db, issuer_id, golden.EXPECTED_REDEMPTION, since=date(2026, 10, 1))
    await give_charts(db, *(f"{code}-ltd" for code in ids))
    shops = Shops(db, ids)
    await golden._bring_what_was_before(shops, date(2026, 10, 20))
    await recognised(db, "2026-10", datetime(2026, 11, 1, tzinfo=UTC))
    await golden._sell_and_redeem(shops)
    period = await closed(db, "2026-11", datetime(2026, 12, 1, tzinfo=UTC))
    await recognise(
        db, period_id=period.period_id, actor="wei", now=datetime(2026, 12, 2, tzinfo=UTC)
    )
    return shops, period.period_id


async def test_the_golden_month_is_booked_and_eliminated_to_the_cent(db: AsyncConnection) -> None:
    shops, period_id = await november(db)
    journals = await posted(db, period_id, datetime(2026, 12, 3, tzinfo=UTC))
    letters = {f"{code}-ltd": letter for code, letter in LETTER.items()}
    assert {letters[entity]: booked(journal) for entity, journal in journals.items()} == BOOKED
    assert {journal.dated for journal in journals.values()} == {date(2026, 11, 30)}
    assert len({journal.reference for journal in journals.values()}) == 3

    revenue = sum(sums[Purpose.POINTS_REVENUE] for sums in BOOKED.values())
    assert -revenue == cents(EXPECTED["group_points_revenue"])
    await _a_refund_is_shared(db, period_id, shops, journals)
    is_eliminated({shops.ids[CODE[i]]: i for i in CODE}, list(journals.values()))

    # What was posted late lands in the next month's books, and leaves these alone.
    await shops.redeem("dining", SPENDER["R"], 2000, date(2026, 11, 30))
    after = await recognised(db, "2026-12", datetime(2027, 1, 1, tzinfo=UTC))
    december = await posted(db, after[0].period_id, datetime(2027, 1, 3, tzinfo=UTC))
    assert booked(december["retail-ltd"])[Purpose.REDEMPTION_COST] == 1600
    assert booked(december["dining-ltd"])[Purpose.PARTNER_REVENUE] == -1600
    again = await posted(db, period_id, datetime(2027, 1, 4, tzinfo=UTC))
    assert again == journals


async def _a_refund_is_shared(
    db: AsyncConnection, period_id: int, shops: Shops, journals: dict[str, Journal]
) -> None:
    """Of the refund that the till took off revenue, the journal takes the liability's part."""
    shares = {one.issuer_id: one for one in await allocations(db, period_id=period_id)}
    for letter, expected in EXPECTED["clawback_revenue"].items():
        share = shares[shops.ids[CODE[letter]]]
        lines = [x for x in journals[f"{CODE[letter]}-ltd"].lines if x.event == "clawback"]
        by_purpose = {line.purpose: line.signed_minor for line in lines}
        liability = cents(expected["liability"])
        assert by_purpose == {
            Purpose.CONTRACT_LIABILITY: liability,
            Purpose.GOODS_REVENUE: -liability,
        }
        assert share.refunded_minor + by_purpose[Purpose.GOODS_REVENUE] == cents(
            expected["revenue"]
        )


def is_eliminated(letters: dict[int, str], journals: list[Journal]) -> None:
    (sheet,) = eliminate(journals)
    taken: dict[Purpose, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in sheet.rows:
        minor = row.debit_minor - row.credit_minor
        taken[row.purpose][letters[row.business_id]] += minor
        taken[row.purpose]["total"] += minor
    revenue, cost = (
        {who: cents(amount) for who, amount in EXPECTED["elimination"][name].items()}
        for name in ("partner_revenue", "redemption_cost")
    )
    assert taken == {
        Purpose.PARTNER_REVENUE: revenue,
        Purpose.REDEMPTION_COST: {who: -minor for who, minor in cost.items()},
        Purpose.RECEIVABLE: {who: -minor for who, minor in revenue.items()},
        Purpose.PAYABLE: cost,
    }
    assert sum(row.debit_minor - row.credit_minor for row in sheet.rows) == 0
    assert sheet.total_minor == 2 * cents(EXPECTED["obligations"]["gross"])
