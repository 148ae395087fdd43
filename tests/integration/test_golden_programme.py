"""The golden month with a central programme: signed events, tills, the sweep, the close, the books.

What happens is what happens in the golden month. But P sells the three each point that they issue,
at 0.0100 net of clawback, September's too, and pays 0.0080 for each that is taken, wherever. 80% of
points will be redeemed.
"""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.accounting.journals.eliminate import eliminate
from hub.accounting.movements import MovementKind, RollForward
from hub.ledger.verify import verify
from hub.programme.chart import Purpose
from hub.settlement.codes import LineKind
from hub.settlement.queries import net_positions, totals
from hub.settlement.verify import CHECKS, PERIODS, check
from tests.support.accounting import expect, recognised
from tests.support.golden import PERIOD, SHOPS, GoldenMonth, group, yuan
from tests.support.journals import booked, give_charts, posted
from tests.support.settlement import COMPANY

SEPTEMBER_1 = date(2026, 9, 1)
# Net of clawback: R 125,000 - 1,250, H 62,500, D 25,000 - 250. Taken: R of its own, H's and D's
# 20,000 + 12,000 + 4,000; H 30,000 - 1,000 + 5,000 + 2,000; D 10,000 + 8,000 + 1,000.
OWED = {
    "R>P": (123_750, "1237.50"), "H>P": (62_500, "625.00"), "D>P": (24_750, "247.50"),
    "P>R": (36_000, "288.00"), "P>H": (36_000, "288.00"), "P>D": (19_000, "152.00"),
}  # fmt: skip
NETS = {"P": "1382.00", "R": "-949.50", "H": "-337.00", "D": "-95.50"}  # together nothing
# September: 75,000 points, 750.00; 80% are 60,000, at 0.0125. October: 212,500 points, 2,125.00,
# less 1,500 clawed back, 15.00. 92,000 were redeemed, 1,000 of them given back; 15,000 ended, as
# expected. Still to come are none of September's 60,000, and of October's 168,800 all but 31,000:
# 137,800 at 0.0125.
ROLL = {
    "opening": "750.00", "deferred": "2125.00", "redeemed": "-1150.00", "reinstated": "12.50",
    "expired": "0.00", "clawback": "-15.00", "catch_up": "0.00", "breakage": "0.00",
    "closing": "1722.50",
}  # fmt: skip
BOOKED = {
    "P": {
        Purpose.RECEIVABLE: 2110_00, Purpose.POINTS_SOLD: 0, Purpose.PAYABLE: -728_00,
        Purpose.CONTRACT_LIABILITY: -972_50, Purpose.POINTS_REVENUE: -1137_50,
        Purpose.REDEMPTION_COST: 728_00,
    },
    "R": {
        Purpose.POINTS_PURCHASED: 1237_50, Purpose.PAYABLE: -1237_50,
        Purpose.RECEIVABLE: 288_00, Purpose.PARTNER_REVENUE: -288_00,
    },
    "H": {
        Purpose.POINTS_PURCHASED: 625_00, Purpose.PAYABLE: -625_00,
        Purpose.RECEIVABLE: 288_00, Purpose.PARTNER_REVENUE: -288_00,
    },
    "D": {
        Purpose.POINTS_PURCHASED: 247_50, Purpose.PAYABLE: -247_50,
        Purpose.RECEIVABLE: 152_00, Purpose.PARTNER_REVENUE: -152_00,
    },
}  # fmt: skip


@pytest.fixture
async def month(engine: AsyncEngine, database_url: str) -> AsyncIterator[GoldenMonth]:
    played = GoldenMonth(engine, database_url)
    shops = group().model_dump(mode="json")["businesses"]
    company = {
        **shops[0], "code": COMPANY, "name": "Club", "kind": "programme",
        "legal_entity": f"{COMPANY}-ltd", "legal_name": "Club Ltd",
    }  # fmt: skip
    agreed = {"effective_from": "2020-01-01", "currency": "CNY"}
    await played.configure(
        group(
            businesses=[*shops, company],
            agreements=[
                terms
                for shop in SHOPS.values()
                for terms in (
                    {
                        **agreed, "issuer": shop, "acceptor": COMPANY, "basis": "at_issue",
                        "rate_per_point": "0.0100",
                    },
                    {**agreed, "issuer": COMPANY, "acceptor": shop, "rate_per_point": "0.0080"},
                )
            ],
        )
    )  # fmt: skip
    await played.play()
    yield played
    await played.aclose()


async def _closed_month(db: AsyncConnection, code: str, at: datetime) -> tuple[int, RollForward]:
    """Close and recognise a month in which nobody but the company owes points."""
    (roll,) = await recognised(db, code, at)
    opening, *moved, closing = roll.movements
    assert opening.amount + sum(m.amount for m in moved) == closing.amount == roll.proof.amount
    assert opening.points + sum(m.points for m in moved) == closing.points
    return roll.period_id, roll


async def test_the_golden_month_of_a_central_programme(month: GoldenMonth) -> None:
    async with month.engine.begin() as db:
        for issuer_id in month.ids.values():
            await expect(db, issuer_id, "0.8", since=SEPTEMBER_1)
        codes = {**SHOPS, "P": COMPANY}
        await give_charts(db, *(f"{code}-ltd" for code in codes.values()))
        before_id, before = await _closed_month(db, "2026-09", datetime(2026, 10, 1, tzinfo=UTC))
        assert before.of(MovementKind.CLOSING).minor == 750_00
        period_id, roll = await _closed_month(db, PERIOD, datetime(2026, 11, 1, tzinfo=UTC))
        names = {number: letter for letter, number in month.ids.items()}
        names[roll.owner_id] = "P"

        owed = (await totals(db, period_ids=[period_id]))[period_id]
        assert {
            f"{names[t.debtor_id]}>{names[t.creditor_id]}": (t.points, yuan(t.gross_minor))
            for t in owed
        } == OWED
        assert {t.kind for t in owed} == {LineKind.ISSUE, LineKind.REDEMPTION}
        nets = (await net_positions(db, period_ids=[period_id]))[period_id]
        assert {names[one.business_id]: yuan(one.net_minor) for one in nets} == NETS

        assert {one.kind.value: yuan(one.minor) for one in roll.movements} == ROLL
        assert roll.proof.expected_points == 137_800
        assert roll.of(MovementKind.CLOSING).points == 180_000  # as the golden group's

        await posted(db, before_id, datetime(2026, 11, 2, tzinfo=UTC))
        journals = await posted(db, period_id, datetime(2026, 11, 2, tzinfo=UTC))
        assert {letter: booked(journals[f"{code}-ltd"]) for letter, code in codes.items()} == BOOKED
        (sheet,) = eliminate(list(journals.values()))
        assert sum(row.debit_minor - row.credit_minor for row in sheet.rows) == 0
        assert [name for name in (PERIODS, *CHECKS) if await check(db, name)] == []
        assert await verify(db) == []
