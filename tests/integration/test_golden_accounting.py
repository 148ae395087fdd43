"""The golden month's books: sales through the earn verb, every figure to the cent."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.allocations import allocations
from hub.accounting.movements import MovementKind, RollForward
from hub.accounting.recognise import recognise
from hub.accounting.roll_forward import roll_forward
from hub.accounting.state_opening import state_opening
from hub.ledger.verify import verify
from hub.points.expire import expire
from tests.integration.test_golden_settlement import CODE, FORGETFUL, LETTER, RATE, SPENDER
from tests.integration.test_golden_settlement import GIVEN as MONTH
from tests.support.accounting import (
    Shops,
    account_for,
    closed,
    expect,
    make_selling_group,
    recognised,
)
from tests.support.golden_figures import EXPECTED, INPUT, PARAMETERS, cents
from tests.support.settlement import agreement, noon

SALES = INPUT["sales"]
REFUNDS = {i: (one["sale"], one["clawback_points"]) for i, one in INPUT["refunds"].items()}
VALUE = PARAMETERS["face_value_per_point"]
EXPECTED_REDEMPTION = PARAMETERS["expected_redemption"]
ROLLS = {i: roll for i, roll in EXPECTED["liability_rollforward"].items() if i in SALES}
# 99,000 yuan come to 125,000 points and no more: 125,000.07, floored.
POINTS_PER_YUAN = "1.262627"
OPENING = {"R": "396", "H": "198"}
NOVEMBER, REFUND_DAY = date(2026, 11, 2), date(2026, 11, 30)
BROUGHT_ON = {"before": date(2026, 10, 20), "within": date(2026, 11, 1)}


async def _bring_what_was_before(shops: Shops, day: date) -> None:
    for letter, points in MONTH["opening_points"].items():
        old = MONTH["expired_points"][letter]
        if old:
            await shops.bring(
                CODE[letter], FORGETFUL[letter], old, day, expires_on=date(2026, 11, 15)
            )
        if points - old:
            await shops.bring(CODE[letter], SPENDER[letter], points - old, day)
    for letter, amount in OPENING.items():
        await state_opening(
            shops.db,
            issuer_id=shops.ids[CODE[letter]],
            amount=amount,
            actor="wei",
            reason="closing balance of the books before",
            now=noon(day),
        )


async def _sell_and_redeem(shops: Shops) -> None:
    earned = {}
    for letter, price in SALES.items():
        earned[letter] = await shops.sell(CODE[letter], SPENDER[letter], int(price) * 100, NOVEMBER)
    redeemed = {}
    for pair, points in MONTH["redemptions_issuer_acceptor_points"].items():
        issuer, acceptor = pair.split(">")
        redeemed[pair] = await shops.redeem(
            CODE[acceptor], SPENDER[issuer], points, date(2026, 11, 10)
        )
    for pair, points in MONTH["reinstated_points"].items():
        issuer, acceptor = pair.split(">")
        await shops.restore(
            CODE[acceptor], SPENDER[issuer], redeemed[pair], points, date(2026, 11, 20)
        )
    await expire(shops.db, today=date(2026, 11, 16), now=noon(date(2026, 11, 16)))
    for letter, (amount, _) in REFUNDS.items():
        await shops.refund(
            CODE[letter], SPENDER[letter], earned[letter], int(amount) * 100, REFUND_DAY
        )


def _shown(roll: RollForward) -> dict[str, int]:
    return {movement.kind.value: movement.minor for movement in roll.movements}


@pytest.mark.parametrize("portfolio", ["month", "all"])
@pytest.mark.parametrize("brought", BROUGHT_ON)
async def test_the_golden_month_is_recognised_to_the_cent(
    db: AsyncConnection, brought: str, portfolio: str
) -> None:
    pairs = [(i, a) for i in LETTER for a in LETTER if i != a]
    ids = await make_selling_group(
        db, [agreement(i, a, RATE) for i, a in pairs], points_per_unit=POINTS_PER_YUAN
    )
    for issuer_id in ids.values():
        await account_for(db, issuer_id, value=VALUE, since=date(2026, 10, 1), portfolio=portfolio)
        await expect(db, issuer_id, EXPECTED_REDEMPTION, since=date(2026, 10, 1))
    shops = Shops(db, ids)
    await _bring_what_was_before(shops, BROUGHT_ON[brought])
    october = await recognised(db, "2026-10", datetime(2026, 11, 1, tzinfo=UTC))
    assert sum(roll.movements[-1].minor for roll in october) == (
        59400 if brought == "before" else 0
    )
    await _sell_and_redeem(shops)
    assert await verify(db) == []

    november = await closed(db, "2026-11", datetime(2026, 12, 1, tzinfo=UTC))
    told = await roll_forward(db, period_id=november.period_id)
    assert not any(roll.recognised for roll in told)
    rolls = await recognise(
        db, period_id=november.period_id, actor="wei", now=datetime(2026, 12, 2, tzinfo=UTC)
    )
    assert [roll.movements for roll in rolls] == [roll.movements for roll in told]
    letters = {business_id: LETTER[code] for code, business_id in ids.items()}
    await as_expected(db, november.period_id, {letters[r.owner_id]: r for r in rolls}, letters)
    of_two_months = portfolio == "month" and brought == "before"
    await _is_estimated_anew(shops, letters, BY_MONTH if of_two_months else TOGETHER)


# At 85% instead of 80%, by hand: A x redeemed / (0.85 x issued) is revenue to date. Together, R's
# 1,376.10 for 173,750 points are owed for 88,687.5 more of them; by month its opening points have
# all been redeemed or ended, and 980.10 for 123,750 are owed for 86,187.5.
TOGETHER = {
    "R": ("34.36", "0", "826.36"),
    "H": ("14.56", "0", "460.06"),
    "D": ("4.08", "0", "130.80"),
}
BY_MONTH = TOGETHER | {"R": ("34.36", "-23.30", "803.06"), "H": ("14.56", "-11.65", "448.41")}


async def _is_estimated_anew(
    shops: Shops, letters: dict[int, str], anew: dict[str, tuple[str, str, str]]
) -> None:
    for issuer_id in letters:
        await expect(shops.db, issuer_id, "0.85", since=date(2026, 12, 1))
    for roll in await recognised(shops.db, "2026-12", datetime(2027, 1, 1, tzinfo=UTC)):
        told = _shown(roll)
        catch_up, breakage, closing = anew[letters[roll.owner_id]]
        assert (told["catch_up"], told["breakage"], told["closing"]) == (
            cents(catch_up),
            cents(breakage),
            cents(closing),
        )
        assert roll.proof.minor == cents(closing)


async def as_expected(
    db: AsyncConnection, period_id: int, rolls: dict[str, RollForward], letters: dict[int, str]
) -> None:
    for letter, expected in ROLLS.items():
        roll = rolls[letter]
        told = _shown(roll)
        assert roll.proof.expected_points == expected["proof_expected_points"]
        assert roll.proof.amount == roll.of(MovementKind.CLOSING).amount
        assert roll.proof.amount == roll.proof.expected_points * Decimal(
            EXPECTED["liability_per_expected_point"]
        )
        for kind, value in expected.items():
            if kind != "proof_expected_points":
                assert told[kind] == cents(str(value)), (letter, kind)
        assert told["catch_up"] == told["breakage"] == 0
        points = EXPECTED["closing_points"][letter]
        assert roll.of(MovementKind.CLOSING).points == points
        assert sum(m.points for m in roll.movements[:-1]) == points
    assert sum(r.of(MovementKind.CLOSING).minor for r in rolls.values()) == cents(
        EXPECTED["liability_rollforward"]["group_closing"]
    )
    revenue = -sum(
        r.of(kind).minor
        for r in rolls.values()
        for kind in (MovementKind.REDEEMED, MovementKind.REINSTATED)
    )
    assert revenue == cents(EXPECTED["group_points_revenue"])
    partner = rolls["R"].of(MovementKind.REDEEMED)
    assert (partner.partner_points, partner.partner_minor) == (-40000, -39600)

    shares = {letters[one.issuer_id]: one for one in await allocations(db, period_id=period_id)}
    for letter, share in shares.items():
        assert share.to_points == Decimal(EXPECTED["allocated_to_points"][letter])
        assert share.to_goods == Decimal(EXPECTED["goods_revenue_before_refunds"][letter])
        back = EXPECTED["clawback_revenue"].get(letter, {"revenue": "0", "liability": "0"})
        assert share.refunded_revenue == Decimal(back["revenue"])
        assert share.refunded_to_points == Decimal(back["liability"])
