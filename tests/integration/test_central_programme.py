"""A month of a central programme, worked out by hand: the company sells points and owes them.

P sells R (retail) its points at issue, at 0.0100 per point issued net of clawback. P
pays whoever takes them 0.0080, R too. D (dining) has not joined: its points are settled at
redemption, at 0.0080. What R and P, and P and acceptors, owe each other bears 6% of tax on top.
80% of points are expected to be redeemed; from December on, 90%.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.allocations import allocations
from hub.accounting.journals.eliminate import eliminate
from hub.accounting.movements import MovementKind, RollForward
from hub.accounting.recognise import recognise
from hub.accounting.roll_forward import roll_forward
from hub.accounting.sensitivity import sensitivity
from hub.ledger.post import post_reinstatement
from hub.ledger.verify import verify
from hub.points.expire import expire
from hub.programme.agree import AgreementConfig, AgreementTaxConfig
from hub.programme.chart import Purpose
from hub.settlement.queries import net_positions, obligations, statement, totals
from hub.settlement.verify import CHECKS, PERIODS, check
from tests.support.accounting import Shops, account_for, closed, expect, make_selling_group
from tests.support.journals import booked, give_charts, posted
from tests.support.settlement import COMPANY, agreement, noon, sale

CODE = {"R": "retail", "H": "hotel", "D": "dining", "P": COMPANY}
BUYER, DINER, FORGETFUL = 1, 2, 3
OCTOBER_1, NOVEMBER_1, DECEMBER_1 = date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1)
K = MovementKind


def taxed(made: AgreementConfig, kind: Literal["issue", "redemption"]) -> AgreementConfig:
    tax = AgreementTaxConfig(kind=kind, code="VAT6", rate=Decimal("0.06"))
    return made.model_copy(update={"taxes": (tax,)})


async def programme(db: AsyncConnection, *, role: str = "principal") -> Shops:
    ids = await make_selling_group(
        db,
        [
            taxed(sale("retail", "0.0100", since=NOVEMBER_1), "issue"),
            # From the middle of December on a point costs more. Those of before keep their price.
            taxed(sale("retail", "0.0110", since=date(2026, 12, 15)), "issue"),
            *(taxed(agreement(COMPANY, CODE[a], "0.0080"), "redemption") for a in "RHD"),
            *(agreement("dining", CODE[a], "0.0080") for a in "RH"),
        ],
        points_per_unit="1.262627",  # 99,000 come to 125,000 points: 125,000.07, floored
        codes=tuple(CODE.values()),
    )
    for code in ("retail", "dining"):
        await account_for(db, ids[code], value="0.01", since=NOVEMBER_1, role=role)
        await expect(db, ids[code], "0.8", since=NOVEMBER_1)
    await give_charts(db, *(f"{code}-ltd" for code in CODE.values()))
    return Shops(db, ids)


async def november(shops: Shops) -> int:
    """Live through November; return the transaction of the sale."""
    bought = await shops.sell("retail", BUYER, 99_000_00, date(2026, 11, 2))  # 125,000 points
    await shops.sell("dining", DINER, 19_800_00, date(2026, 11, 2))  # 25,000 points
    await shops.issue("retail", FORGETFUL, 10_000, date(2026, 11, 3), expires_on=date(2026, 11, 15))
    at_hotel = await shops.redeem("hotel", BUYER, 30_000, date(2026, 11, 10))
    await shops.redeem("retail", BUYER, 20_000, date(2026, 11, 11))
    await shops.redeem("dining", BUYER, 10_000, date(2026, 11, 12))
    for acceptor, points in (("retail", 4_000), ("hotel", 2_000), ("dining", 1_000)):
        await shops.redeem(acceptor, DINER, points, date(2026, 11, 13))
    await expire(shops.db, today=date(2026, 11, 16), now=noon(date(2026, 11, 16)))
    await shops.restore("hotel", BUYER, at_hotel, 1_000, date(2026, 11, 20))
    await shops.refund("retail", BUYER, bought, 990_00, date(2026, 11, 25))  # 1,250 points
    return bought


# What is owed: points, net, tax, gross.
#   R>P  issued 125,000 + 10,000, clawed back 1,250: 133,750 at 0.01 = 1,337.50; 6% = 80.25
#   P>H  30,000 less 1,000 given back: 29,000 at 0.008 = 232.00; 13.92
#   P>R  R takes its own points and is paid: 20,000 at 0.008 = 160.00; 9.60
#   P>D  10,000: 80.00; 4.80.  D>R 4,000: 32.00.  D>H 2,000: 16.00, without tax.
OWED = {
    "R>P": (133_750, 1337_50, 80_25, 1417_75),
    "P>H": (29_000, 232_00, 13_92, 245_92),
    "P>R": (20_000, 160_00, 9_60, 169_60),
    "P>D": (10_000, 80_00, 4_80, 84_80),
    "D>R": (4_000, 32_00, 0, 32_00),
    "D>H": (2_000, 16_00, 0, 16_00),
}
# P 1,417.75 - 245.92 - 169.60 - 84.80; R 169.60 + 32.00 - 1,417.75; H 245.92 + 16.00;
# D 84.80 - 48.00. Together nothing.
NETS = {"P": 917_43, "R": -1216_15, "H": 261_92, "D": 36_80}
# P was paid 1,337.50 for 133,750 points. 80%, 107,000, will be redeemed: each is worth 0.0125.
# 60,000 were, less 1,000 given back; 48,000 are still expected: 600.00. The 10,000 that ended were
# expected to. D shares 19,800 with 25,000 points as ever: 198.00, 0.0099 for each of 20,000.
ROLLS = {
    "P": {
        "opening": 0, "deferred": 1350_00, "redeemed": -750_00, "reinstated": 12_50, "expired": 0,
        "clawback": -12_50, "catch_up": 0, "breakage": 0, "closing": 600_00,
    },
    "D": {
        "opening": 0, "deferred": 198_00, "redeemed": -69_30, "reinstated": 0, "expired": 0,
        "clawback": 0, "catch_up": 0, "breakage": 0, "closing": 128_70,
    },
}  # fmt: skip
# R has bought points; nothing is owed by it. P's clearing account of points sold is empty: paid
# 1,337.50, deferred 1,350.00 less 12.50.
BOOKED = {
    "R": {
        Purpose.POINTS_PURCHASED: 1337_50, Purpose.INPUT_TAX: 80_25, Purpose.PAYABLE: -1417_75,
        Purpose.RECEIVABLE: 201_60, Purpose.PARTNER_REVENUE: -192_00, Purpose.OUTPUT_TAX: -9_60,
    },
    "P": {
        Purpose.RECEIVABLE: 1417_75, Purpose.POINTS_SOLD: 0, Purpose.OUTPUT_TAX: -80_25,
        Purpose.CONTRACT_LIABILITY: -600_00, Purpose.POINTS_REVENUE: -737_50,
        Purpose.REDEMPTION_COST: 472_00, Purpose.INPUT_TAX: 28_32, Purpose.PAYABLE: -500_32,
    },
    "H": {
        Purpose.RECEIVABLE: 261_92, Purpose.PARTNER_REVENUE: -248_00, Purpose.OUTPUT_TAX: -13_92,
    },
    "D": {
        Purpose.GOODS_REVENUE: 198_00, Purpose.POINTS_REVENUE: -69_30,
        Purpose.CONTRACT_LIABILITY: -128_70, Purpose.REDEMPTION_COST: 48_00,
        Purpose.PAYABLE: -48_00, Purpose.RECEIVABLE: 84_80, Purpose.PARTNER_REVENUE: -80_00,
        Purpose.OUTPUT_TAX: -4_80,
    },
}  # fmt: skip


def lettered(shops: Shops) -> dict[int, str]:
    return {shops.ids[code]: letter for letter, code in CODE.items()}


async def owed(shops: Shops, period_id: int) -> dict[str, tuple[int, int, int, int]]:
    names = lettered(shops)
    found = (await totals(shops.db, period_ids=[period_id]))[period_id]
    return {
        f"{names[t.debtor_id]}>{names[t.creditor_id]}": (
            t.points, t.net_minor, t.tax_minor, t.gross_minor,
        )
        for t in found
    }  # fmt: skip


def shown(roll: RollForward) -> dict[str, int]:
    opening, *moved, closing = roll.movements
    assert opening.amount + sum(m.amount for m in moved) == closing.amount == roll.proof.amount
    assert opening.minor + sum(m.minor for m in moved) == closing.minor == roll.proof.minor
    assert opening.points + sum(m.points for m in moved) == closing.points
    return {movement.kind.value: movement.minor for movement in roll.movements}


async def recognised(shops: Shops, code: str, at: datetime) -> tuple[int, dict[str, RollForward]]:
    period = await closed(shops.db, code, at)
    names = lettered(shops)
    told = await roll_forward(shops.db, period_id=period.period_id)
    rolls = await recognise(shops.db, period_id=period.period_id, actor="wei", now=at)
    assert [roll.movements for roll in told] == [roll.movements for roll in rolls]
    assert [name for name in (PERIODS, *CHECKS) if await check(shops.db, name)] == []
    assert await verify(shops.db) == []
    return period.period_id, {names[roll.owner_id]: roll for roll in rolls}


@pytest.mark.parametrize("role", ["principal", "agent"])
async def test_the_month_is_settled_recognised_and_booked_to_the_cent(
    db: AsyncConnection, role: str
) -> None:
    shops = await programme(db, role=role)
    await november(shops)
    period_id, rolls = await recognised(shops, "2026-11", datetime(2026, 12, 1, tzinfo=UTC))
    names = lettered(shops)
    assert await owed(shops, period_id) == OWED
    nets = (await net_positions(db, period_ids=[period_id]))[period_id]
    assert {names[one.business_id]: one.net_minor for one in nets} == NETS
    assert sum(NETS.values()) == 0

    assert {letter: shown(roll) for letter, roll in rolls.items()} == ROLLS
    assert rolls["P"].proof.expected_points == 48_000
    assert rolls["P"].of(K.CLOSING).points == 64_750  # 133,750 - 59,000 - 10,000
    redeemed = rolls["P"].of(K.REDEEMED)
    assert (redeemed.partner_points, redeemed.partner_minor) == (-60_000, -750_00)
    shares = {names[one.issuer_id]: one for one in await allocations(db, period_id=period_id)}
    # R's price is revenue but for what it pays P for its points; it takes back as much per point.
    assert shares["R"].owner_id == shops.ids[COMPANY]
    assert (shares["R"].price, shares["R"].to_points) == (Decimal(99_000), Decimal(1_350))
    assert (shares["R"].refunded, shares["R"].refunded_to_points) == (Decimal(990), Decimal("12.5"))

    journals = await posted(db, period_id, datetime(2026, 12, 2, tzinfo=UTC))
    found = {letter: booked(journals[f"{code}-ltd"]) for letter, code in CODE.items()}
    expected = {letter: dict(sums) for letter, sums in BOOKED.items()}
    if role == "agent":
        # An agent shows what is left: R's points are P's supply, D's that of whoever takes them.
        expected["R"][Purpose.GOODS_REVENUE] = expected["R"].pop(Purpose.POINTS_PURCHASED)
        # Of D's 69.30, 59.40 were redeemed elsewhere, less the 48.00 that it pays for them.
        expected["D"][Purpose.POINTS_REVENUE] = -9_90
        expected["D"][Purpose.AGENCY_REVENUE] = -59_40 + expected["D"].pop(Purpose.REDEMPTION_COST)
    assert found == expected
    for sums in found.values():
        assert sum(sums.values()) == 0
    (sheet,) = eliminate(list(journals.values()))
    assert sum(row.debit_minor - row.credit_minor for row in sheet.rows) == 0


async def test_december_catches_up_and_takes_what_was_late(db: AsyncConnection) -> None:
    shops = await programme(db)
    bought = await november(shops)
    november_id, _ = await recognised(shops, "2026-11", datetime(2026, 12, 1, tzinfo=UTC))
    company = shops.ids[COMPANY]
    before = await statement(db, period_id=november_id, business_id=company)
    await shops.redeem("dining", BUYER, 2_000, date(2026, 11, 30))  # told when November is closed
    await shops.redeem("hotel", BUYER, 5_000, date(2026, 12, 5))
    await shops.sell("retail", BUYER, 4_950_00, date(2026, 12, 10))  # 6,250 points
    await shops.sell("retail", BUYER, 990_00, date(2026, 12, 20))  # 1,250 points, at 0.011
    await shops.refund("retail", BUYER, bought, 99_00, date(2026, 12, 21))  # 125 points, of 0.01
    await expect(db, shops.ids["retail"], "0.9", since=DECEMBER_1)
    period_id, rolls = await recognised(shops, "2026-12", datetime(2027, 1, 1, tzinfo=UTC))
    # R>P: 6,250 x 0.01 + 1,250 x 0.011 - 125 x 0.01 = 75.00.
    assert await owed(shops, period_id) == {
        "R>P": (7_375, 75_00, 4_50, 79_50),
        "P>H": (5_000, 40_00, 2_40, 42_40),
        "P>D": (2_000, 16_00, 96, 16_96),
    }
    lines = await obligations(db, period_id=period_id, first=100)
    assert [(one.points, one.amount) for one in lines if one.late] == [(2_000, Decimal(16))]
    same = await statement(db, period_id=november_id, business_id=company)
    assert (same.sha256, same.body) == (before.sha256, before.body)
    # Of November's points 133,625 are paid for, 1,336.25, and 90% of them expected: 120,262.5, at
    # 1/90 each. What 59,000 of them had brought was 737.50 and is 655.56: 81.94 are owed again.
    # 7,000 more were redeemed: 77.78. Left are 54,262.5 at 1/90 = 602.9167; and December's 76.25.
    roll = rolls["P"]
    assert round(roll.of(K.CATCH_UP).amount, 4) == Decimal("81.9444")
    assert round(roll.of(K.REDEEMED).amount, 4) == Decimal("-77.7778")
    assert round(roll.proof.amount, 4) == Decimal("679.1667")
    assert roll.proof.expected_points == Decimal("54262.5") + Decimal("6750")
    assert shown(roll) == {
        "opening": 600_00, "deferred": 76_25, "redeemed": -77_78, "reinstated": 0, "expired": 0,
        "clawback": -1_25, "catch_up": 81_95, "breakage": 0, "closing": 679_17,
    }  # fmt: skip
    journals = await posted(db, november_id, datetime(2027, 1, 2, tzinfo=UTC))
    journals = await posted(db, period_id, datetime(2027, 1, 2, tzinfo=UTC))
    sums = booked(journals[f"{COMPANY}-ltd"])
    assert sums[Purpose.CONTRACT_LIABILITY] == -79_17
    assert sums[Purpose.POINTS_SOLD] == 0
    assert sums[Purpose.CATCH_UP_REVENUE] == 81_95


async def test_breakage_that_is_the_issuers_is_given_back_and_never_revenue(
    db: AsyncConnection,
) -> None:
    """R gets the price of points that end: whatever is expected, P owes 0.01 for each point left.

    1,000 + 300 sold: 13.00. 400 redeemed: 4.00 of revenue; P pays 3.20. 300 ended, of which 50 came
    back: 2.50 back to R. Left are 650: 6.50.
    """
    ids = await make_selling_group(
        db,
        [
            sale("retail", "0.01", since=NOVEMBER_1, breakage_owner="issuer"),
            *(agreement(COMPANY, CODE[a], "0.008") for a in "RHD"),
        ],
        points_per_unit="1",
        codes=tuple(CODE.values()),
    )
    await give_charts(db, *(f"{code}-ltd" for code in CODE.values()))
    shops = Shops(db, ids)  # without a policy or an estimate: nothing is left to judge
    await shops.sell("retail", BUYER, 1_000_00, date(2026, 11, 2))
    lot = await shops.issue(
        "retail", FORGETFUL, 300, date(2026, 11, 3), expires_on=date(2026, 11, 15)
    )
    await shops.redeem("hotel", BUYER, 400, date(2026, 11, 10))
    await expire(db, today=date(2026, 11, 16), now=noon(date(2026, 11, 16)))
    await post_reinstatement(
        db,
        business_id=ids["retail"],
        idempotency_key="back",
        member_id=FORGETFUL,
        lot_id=lot,
        points=50,
        until=date(2027, 1, 31),
        reason="was ill",
        occurred_at=noon(date(2026, 11, 20)),
        business_date=date(2026, 11, 20),
        now=noon(date(2026, 11, 20)),
    )
    period_id, rolls = await recognised(shops, "2026-11", datetime(2026, 12, 1, tzinfo=UTC))
    assert await owed(shops, period_id) == {
        "R>P": (1_300, 13_00, 0, 13_00), "P>R": (250, 2_50, 0, 2_50), "P>H": (400, 3_20, 0, 3_20),
    }  # fmt: skip
    assert shown(rolls["P"]) == {
        "opening": 0, "deferred": 13_00, "redeemed": -4_00, "reinstated": 0, "expired": -2_50,
        "clawback": 0, "catch_up": 0, "breakage": 0, "closing": 6_50,
    }  # fmt: skip
    (told,) = await sensitivity(db, period_id=period_id, by=Decimal("0.1"))
    assert told.liability == told.if_fewer == told.if_more == Decimal("6.5")
    journals = await posted(db, period_id, datetime(2026, 12, 2, tzinfo=UTC))
    assert booked(journals[f"{COMPANY}-ltd"]) == {
        Purpose.RECEIVABLE: 13_00, Purpose.POINTS_SOLD: 0, Purpose.CONTRACT_LIABILITY: -6_50,
        Purpose.POINTS_REVENUE: -4_00, Purpose.REDEMPTION_COST: 3_20, Purpose.PAYABLE: -5_70,
        Purpose.BREAKAGE_REVENUE: 0,
    }  # fmt: skip
    assert booked(journals["retail-ltd"]) == {
        Purpose.POINTS_PURCHASED: 13_00, Purpose.PAYABLE: -13_00, Purpose.RECEIVABLE: 2_50,
        Purpose.BREAKAGE_REVENUE: -2_50,
    }  # fmt: skip
    await expect(db, ids["retail"], "0.9", since=DECEMBER_1)
    _, rolls = await recognised(shops, "2026-12", datetime(2027, 1, 1, tzinfo=UTC))
    assert shown(rolls["P"])["catch_up"] == 0
    assert shown(rolls["P"])["closing"] == 6_50


async def test_a_price_that_contains_tax_is_deferred_without_it(db: AsyncConnection) -> None:
    """1,000 points at 0.0106, of which 6% is tax: 10.60, and 10.00 without it."""
    tax = AgreementTaxConfig(kind="issue", code="VAT6", rate=Decimal("0.06"), included=True)
    ids = await make_selling_group(
        db,
        [sale("retail", "0.0106", since=NOVEMBER_1, taxes=(tax,))],
        points_per_unit="1",
        codes=tuple(CODE.values()),
    )
    await expect(db, ids["retail"], "0.8", since=NOVEMBER_1)
    await give_charts(db, *(f"{code}-ltd" for code in CODE.values()))
    shops = Shops(db, ids)
    await shops.sell("retail", BUYER, 1_000_00, date(2026, 11, 2))
    period_id, rolls = await recognised(shops, "2026-11", datetime(2026, 12, 1, tzinfo=UTC))
    assert await owed(shops, period_id) == {"R>P": (1_000, 10_00, 60, 10_60)}
    assert rolls["P"].of(K.CLOSING).amount == Decimal(10)
    journals = await posted(db, period_id, datetime(2026, 12, 2, tzinfo=UTC))
    assert booked(journals[f"{COMPANY}-ltd"])[Purpose.POINTS_SOLD] == 0
