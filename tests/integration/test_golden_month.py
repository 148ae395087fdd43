"""The golden month, whole, through the hub's own doors: events, tills, the sweep, the worker.

What was sold in September is the opening. Where each key of the golden figures is asserted:

parameters                      given to policies, estimates and agreements (tests/support/golden)
input                           `_as_given`, read back from the ledger and the allocations
expected
  allocated_to_points, goods_revenue_before_refunds, clawback_revenue,
  liability_per_expected_point, closing_points, liability_rollforward, group_points_revenue
                                `as_expected` (test_golden_accounting); closing_points of the
                                lots in `_as_given`; all of it as booked, by BOOKED
  obligations, bilateral, multilateral_net
                                `_is_settled`, in statements and in what is paid too
  elimination                   `is_eliminated` (test_golden_journals)
late_event                      `_comes_late`
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.accounting.allocations import allocations
from hub.accounting.journals.lines import Journal
from hub.accounting.movements import MovementKind, RollForward
from hub.clock import now
from hub.ledger.verify import verify
from hub.programme.chart import Purpose
from hub.settlement import verify as settlement
from hub.settlement.open_account import open_account
from hub.settlement.order_payments import order_payments
from hub.settlement.prepare_payments import prepare_payments
from hub.settlement.queries import (
    Period,
    bilaterals,
    net_positions,
    obligations,
    statement,
    totals,
)
from hub.settlement.release_payments import release_payments
from tests.integration.test_golden_accounting import as_expected
from tests.integration.test_golden_journals import BOOKED, is_eliminated
from tests.integration.test_payments import account
from tests.support.golden import LAST_DAY, PERIOD, SHOPS, GoldenMonth, yuan
from tests.support.golden_figures import (
    EXPECTED,
    INPUT,
    LATE_EVENT,
    PARAMETERS,
    cents,
    shared,
)
from tests.support.journals import booked

MOVED = text("""
SELECT debit, credit, issuer_id, business_id, sum(points)::bigint AS points FROM entry
WHERE unit = 1 AND business_date >= '2026-10-01' GROUP BY 1, 2, 3, 4""")
LEFT = text("SELECT issuer_id, sum(remaining)::bigint AS points FROM lot WHERE unit = 1 GROUP BY 1")
LATE_DAY = date(2026, 10, 28)


@pytest.fixture
async def month(engine: AsyncEngine, database_url: str) -> AsyncIterator[GoldenMonth]:
    played = GoldenMonth(engine, database_url)
    await played.configure()
    await played.account()
    await played.play()
    yield played
    await played.aclose()


def test_the_figures_here_are_the_shared_golden_figures() -> None:
    golden = shared()
    if golden is None:
        pytest.skip("the shared folder with the golden figures is not beside this checkout")
    assert golden == {
        "parameters": PARAMETERS,
        "input": INPUT,
        "expected": EXPECTED,
        "late_event": LATE_EVENT,
    }


async def test_the_golden_month_comes_out_whole(month: GoldenMonth) -> None:
    await month.book(await month.close("2026-09"))
    october = await month.close(PERIOD)
    assert october.state == "draft"
    rolls, journals = await month.book(october)
    async with month.engine.connect() as db:
        letters = {business_id: letter for letter, business_id in month.ids.items()}
        await _as_given(db, letters, october, rolls)
        await as_expected(db, october.period_id, rolls, letters)
        await _is_settled(db, letters, october)
    assert {letter: booked(journal) for letter, journal in journals.items()} == BOOKED
    is_eliminated(letters, list(journals.values()))
    await _is_paid(month, october)
    await _comes_late(month, october, journals)


async def _as_given(
    db: AsyncConnection, letters: dict[int, str], october: Period, rolls: dict[str, RollForward]
) -> None:
    """What was put in is what the ledger has, and what is left is what is expected."""
    assert await verify(db) == []
    dead = await db.scalars(text("SELECT reason FROM delivery WHERE state <> 'done'"))
    assert dead.all() == []
    moved: dict[str, dict[str, int]] = defaultdict(dict)
    for row in await db.execute(MOVED):
        issuer, business = letters[row.issuer_id], letters[row.business_id]
        match row.debit, row.credit:
            case 10, 1:
                moved["issued_points"][issuer] = row.points
            case 1, 20:
                pair = f"{issuer}>{business}"
                moved["redemptions_issuer_acceptor_points"][pair] = row.points
            case 20, 1:
                moved["reinstated_points"][f"{issuer}>{business}"] = row.points
            case 1, 30:
                moved["expired_points"][issuer] = row.points
            case 1, 40:
                moved["clawback_points"][issuer] = row.points
            case other:
                raise AssertionError(other)
    shares = {
        letters[one.issuer_id]: one for one in await allocations(db, period_id=october.period_id)
    }
    moved["opening_points"] = {i: roll.of(MovementKind.OPENING).points for i, roll in rolls.items()}
    moved["expired_points"].setdefault("D", 0)
    back = moved.pop("clawback_points")
    assert {
        **moved,
        "sales": {i: f"{share.price:.0f}" for i, share in shares.items()},
        "refunds": {
            i: {"sale": f"{shares[i].refunded:.0f}", "clawback_points": n} for i, n in back.items()
        },
    } == INPUT
    points = {letters[row.issuer_id]: row.points for row in await db.execute(LEFT)}
    assert {**points, "group": sum(points.values())} == EXPECTED["closing_points"]


async def _is_settled(db: AsyncConnection, letters: dict[int, str], october: Period) -> None:
    for name in (settlement.PERIODS, *settlement.CHECKS):
        assert await settlement.check(db, name) is None
    ids = [october.period_id]
    gross = (await totals(db, period_ids=ids))[october.period_id]
    pairs = (await bilaterals(db, period_ids=ids))[october.period_id]
    nets = (await net_positions(db, period_ids=ids))[october.period_id]
    owed = {f"{letters[t.debtor_id]}>{letters[t.creditor_id]}": yuan(t.gross_minor) for t in gross}
    assert owed | {"gross": yuan(sum(t.gross_minor for t in gross))} == EXPECTED["obligations"]
    assert {
        f"{letters[p.debtor_id]}>{letters[p.creditor_id]}": yuan(p.net_minor) for p in pairs
    } == EXPECTED["bilateral"]
    assert {letters[n.business_id]: yuan(n.net_minor) for n in nets} == EXPECTED["multilateral_net"]
    for business_id, letter in letters.items():
        body = (await statement(db, period_id=october.period_id, business_id=business_id)).body
        assert body is not None
        stated = json.dumps(json.loads(body))
        assert EXPECTED["multilateral_net"][letter].lstrip("-") in stated


async def _is_paid(month: GoldenMonth, october: Period) -> None:
    """Each pays or receives one amount: its multilateral net."""
    async with month.engine.begin() as db:
        for code in SHOPS.values():
            await open_account(db, config=account(code), keyring=month.keyring)
        period_id = october.period_id
        await prepare_payments(db, period_id=period_id, actor="ann", today=LAST_DAY, now=now())
        paid = await release_payments(db, period_id=period_id, actor="bo", now=now())
        left = dict.fromkeys(month.ids, 0)
        for letter, business_id in month.ids.items():
            left[letter] += sum(p.amount_minor for p in paid if p.creditor_id == business_id)
            left[letter] -= sum(p.amount_minor for p in paid if p.debtor_id == business_id)
        assert {i: yuan(minor) for i, minor in left.items()} == EXPECTED["multilateral_net"]
        assert b"<CtrlSum>184.00</CtrlSum>" in await order_payments(
            db, period=october, keyring=month.keyring
        )


async def _kept(month: GoldenMonth, period: Period) -> dict[str, Any]:
    async with month.engine.connect() as db:
        file = await order_payments(db, period=period, keyring=month.keyring)
    return await month.kept(period) | {"payments": file}


async def _comes_late(month: GoldenMonth, october: Period, journals: dict[str, Journal]) -> None:
    """R's points are accepted by D on a day of the closed month, and told after its close."""
    points, expected = 2_000, LATE_EVENT["expected"]
    before = await _kept(month, october)
    await month.spend("R", "D", points, LATE_DAY, key="till-late")
    november = await month.close("2026-11")
    rolls, after = await month.book(november)
    async with month.engine.connect() as db:
        lines = await obligations(db, period_id=november.period_id, first=10)
        assert {(one.late, one.business_date) for one in lines} == {(True, LATE_DAY)}
        (owed,) = (await totals(db, period_ids=[november.period_id]))[november.period_id]
        assert (owed.debtor_id, owed.creditor_id) == (month.ids["R"], month.ids["D"])
        assert (owed.points, yuan(owed.gross_minor)) == (points, expected["next_period_line"])
    assert expected["closed_statement_hash"] == "unchanged"
    assert await _kept(month, october) == before
    _, again = await month.book(october)
    assert again == journals
    late = cents(expected["next_period_line"])
    redeemed = cents("-19.80")
    assert booked(after["R"]) == {
        Purpose.CONTRACT_LIABILITY: -redeemed,
        Purpose.POINTS_REVENUE: redeemed,
        Purpose.REDEMPTION_COST: late,
        Purpose.PAYABLE: -late,
    }
    assert booked(after["D"]) == {Purpose.RECEIVABLE: late, Purpose.PARTNER_REVENUE: -late}
    closing = EXPECTED["liability_rollforward"]["R"]["closing"]
    assert rolls["R"].of(MovementKind.OPENING).minor == cents(closing)
    assert rolls["R"].of(MovementKind.REDEEMED).minor == redeemed
