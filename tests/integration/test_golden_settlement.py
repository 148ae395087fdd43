"""The golden month: three businesses, at-redemption settlement, every figure to the cent."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.verify import verify
from hub.points.expire import expire
from hub.settlement.close_period import Closed, close
from hub.settlement.open_period import open_period
from hub.settlement.queries import (
    Period,
    bilaterals,
    net_positions,
    obligations,
    statement,
    totals,
)
from tests.support.golden_figures import EXPECTED, INPUT, LATE_EVENT, PARAMETERS
from tests.support.settlement import Tills, agreement, make_group, noon

CODE = {"R": "retail", "H": "hotel", "D": "dining"}
LETTER = {code: letter for letter, code in CODE.items()}
RATE = PARAMETERS["issuer_to_acceptor_rate_per_point"]
GIVEN = INPUT | {
    "clawback_points": {i: refund["clawback_points"] for i, refund in INPUT["refunds"].items()}
}
# One member per issuer, so that a redemption meets that issuer's points; another one whose points
# nobody spends, so that they expire.
SPENDER = {"R": 1, "H": 2, "D": 3}
FORGETFUL = {"R": 11, "H": 12}
OCTOBER, LAST_DAY = date(2026, 10, 20), date(2026, 11, 30)


async def _play_the_month(tills: Tills) -> None:
    clawed_back = {}
    for letter, points in GIVEN["opening_points"].items():
        old = GIVEN["expired_points"][letter]
        if old:
            await tills.issue(
                CODE[letter], FORGETFUL[letter], old, OCTOBER, expires_on=date(2026, 11, 15)
            )
        if points - old:
            await tills.issue(CODE[letter], SPENDER[letter], points - old, OCTOBER)
    for letter, points in GIVEN["issued_points"].items():
        refunded = GIVEN["clawback_points"].get(letter, 0)
        await tills.issue(CODE[letter], SPENDER[letter], points - refunded, date(2026, 11, 2))
        if refunded:
            clawed_back[letter] = await tills.issue(
                CODE[letter], SPENDER[letter], refunded, date(2026, 11, 3)
            )
    redeemed = {}
    for pair, points in GIVEN["redemptions_issuer_acceptor_points"].items():
        issuer, acceptor = pair.split(">")
        redeemed[pair] = await tills.redeem(
            CODE[acceptor], SPENDER[issuer], points, date(2026, 11, 10)
        )
    for pair, points in GIVEN["reinstated_points"].items():
        issuer, acceptor = pair.split(">")
        await tills.restore(
            CODE[acceptor], SPENDER[issuer], redeemed[pair], points, date(2026, 11, 20)
        )
    swept = await expire(tills.db, today=date(2026, 11, 16), now=noon(date(2026, 11, 16)))
    assert swept.points == sum(GIVEN["expired_points"].values())
    for letter, earn_tx in clawed_back.items():
        points = GIVEN["clawback_points"][letter]
        await tills.claw_back(CODE[letter], SPENDER[letter], earn_tx, points, LAST_DAY)


async def _closing_points(db: AsyncConnection) -> dict[str, int]:
    rows = await db.execute(
        text("""
          SELECT code, sum(remaining)::bigint AS points FROM lot
          JOIN business ON business_id = issuer_id GROUP BY code""")
    )
    points = {LETTER[row.code]: row.points for row in rows}
    return {**points, "group": sum(points.values())}


def _yuan(minor: int) -> str:
    return str(Decimal(minor).scaleb(-2))


async def _figures(
    db: AsyncConnection, period: Period, letters: dict[int, str]
) -> dict[str, object]:
    ids = [period.period_id]
    gross = (await totals(db, period_ids=ids))[period.period_id]
    pairs = (await bilaterals(db, period_ids=ids))[period.period_id]
    nets = (await net_positions(db, period_ids=ids))[period.period_id]
    assert all(total.rounding == 0 for total in gross)
    return {
        "obligations": {
            **{
                f"{letters[t.debtor_id]}>{letters[t.creditor_id]}": _yuan(t.gross_minor)
                for t in gross
            },
            "gross": _yuan(sum(t.gross_minor for t in gross)),
        },
        "bilateral": {
            f"{letters[p.debtor_id]}>{letters[p.creditor_id]}": _yuan(p.net_minor) for p in pairs
        },
        "multilateral_net": {letters[n.business_id]: _yuan(n.net_minor) for n in nets},
    }


async def _close(db: AsyncConnection, code: str, at: datetime) -> Closed:
    period = await open_period(db, code=code, now=at)
    return await close(db, period_id=period.period_id, now=at)


@pytest.mark.parametrize("agreed", [RATE, None], ids=["agreed rate", "the lot's own rate"])
async def test_the_golden_month_settles_to_the_cent(
    db: AsyncConnection, agreed: str | None
) -> None:
    pairs = [(i, a) for i in LETTER for a in LETTER if i != a]
    ids = await make_group(db, [agreement(i, a, agreed) for i, a in pairs])
    letters = {business_id: LETTER[code] for code, business_id in ids.items()}
    tills = Tills(db, ids)
    await _play_the_month(tills)
    assert await verify(db) == []
    assert await _closing_points(db) == EXPECTED["closing_points"]

    midnight = datetime(2026, 12, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
    november = await _close(db, "2026-11", midnight)
    assert (november.late, november.replayed) == (0, False)
    figures = await _figures(db, november.period, letters)
    assert figures == {name: EXPECTED[name] for name in figures}

    await _a_late_redemption_lands_in_december(tills, november, midnight + timedelta(days=31))


async def _a_late_redemption_lands_in_december(
    tills: Tills, november: Closed, new_year: datetime
) -> None:
    db, period_id = tills.db, november.period.period_id
    hashes = {
        code: (await statement(db, period_id=period_id, business_id=business_id)).sha256
        for code, business_id in tills.ids.items()
    }
    await tills.redeem("dining", SPENDER["R"], 2000, date(2026, 11, 28))
    december = await _close(db, "2026-12", new_year)
    assert (december.lines, december.late) == (1, 1)
    (line,) = await obligations(db, period_id=december.period.period_id, first=10)
    assert (line.late, line.business_date, line.points) == (True, date(2026, 11, 28), 2000)
    assert (line.issuer_id, line.acceptor_id) == (tills.ids["retail"], tills.ids["dining"])
    assert line.amount == Decimal(LATE_EVENT["expected"]["next_period_line"])
    for code, business_id in tills.ids.items():
        again = await statement(db, period_id=period_id, business_id=business_id)
        assert again.sha256 == hashes[code]
