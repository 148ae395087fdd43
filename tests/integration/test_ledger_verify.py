"""`hub ledger verify`: an intact database passes; of a broken one the first wrong row is named."""

import asyncio
from datetime import date
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from typer.testing import CliRunner

from hub.benefits.entitlements.verify import CHECKS as OF_QUOTAS
from hub.benefits.referrals.verify import CHECKS as OF_REFERRALS
from hub.benefits.rewards.configure import configure_rewards
from hub.benefits.rewards.stock import stock
from hub.benefits.rewards.verify import CHECKS as OF_REWARDS
from hub.benefits.vouchers.configure import configure_campaigns
from hub.benefits.vouchers.verify import CHECKS as OF_VOUCHERS
from hub.entrypoints.cli import app
from hub.entrypoints.commands.ledger import CHECKS
from hub.intake.verify import CHECKS as OF_FACTS
from hub.ledger.codes import ShortfallMode
from hub.ledger.post import post_clawback, post_earns
from hub.ledger.verify import CHECKS as OF_POINTS
from hub.points.capture import capture
from hub.points.hold import hold
from hub.programme.queries import business_by_code
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.settlement.verify import CHECKS as OF_PERIODS
from hub.settlement.verify import DUES, PERIODS
from tests.support.ledger import lot
from tests.support.rewards import order_one, reward
from tests.support.settlement import KINDS, Tills, agreement, make_group, noon
from tests.support.vouchers import campaign, cancelled, given, redeemed

DAY = date(2026, 11, 10)
AGREED = [agreement(i, a, "0.008") for i in KINDS for a in KINDS if i != a]
SPENDER, HOLDER, DEBTOR, PAYER, GUEST = 1, 2, 3, 4, 5
FACT = """
INSERT INTO business_fact (connection_id, kind, type, source_id, entity, entity_id, delivery_id,
  member_id, tx_id)
SELECT connection_id, 'sale', 'sale', :name, 'order', :name, 1, 5, :tx_id FROM connection"""
# A use, and twice as much of it cancelled.
USES = """
WITH uses AS (INSERT INTO entitlement_use (use_id, kind, reference_id, outcome, quantity, member_id,
    used_at, price_minor, remaining, business_id, benefit_id, funder_id, currency, idempotency_key)
  OVERRIDING SYSTEM VALUE VALUES
    (1, 'use', NULL, 'used', 1, 5, '2026-11-10Z', 0, 0, 1, 1, 1, 'CNY', 'a'),
    (2, 'cancel', 1, 'cancelled', 2, 5, '2026-11-10Z', 0, 0, 1, 1, 1, 'CNY', 'b'))"""

# What breaks an invariant, whose row is named then (0: nobody's), and what is said of it.
WRONG = {
    "I1 what leaves one holder comes to another": (
        """INSERT INTO entry (member_id, tx_id, lot_id, account_id, points, occurred_at,
            business_date, seq, debit, credit, issuer_id, business_id, unit, cost_rate)
          SELECT member_id, tx_id, lot_id, account_id, 5, occurred_at, business_date, 99, 1, 50,
            issuer_id, business_id, unit, cost_rate
          FROM entry WHERE member_id = 1 AND credit = 20""",
        SPENDER,
        "5 points left",
    ),
    "I2 entries are never changed": (
        "ALTER TABLE entry_past DISABLE TRIGGER entry_append_only",
        0,
        "entry_past lets entries be changed",
    ),
    "I3 a balance is the sum of its entries": (
        "UPDATE balance SET posted = posted + 1 WHERE member_id = 1",
        SPENDER,
        "balance 301, entries 300",
    ),
    "I3 every entry has its header": (
        "DELETE FROM ledger_transaction WHERE member_id = 2 AND kind = 1",
        HOLDER,
        "no header",
    ),
    "I4 lots' remainders are the spendable balance and what is owed": (
        "UPDATE lot SET remaining = remaining - 1 WHERE member_id = 1",
        SPENDER,
        "balance 300, owed 0, lots 299",
    ),
    "I4 what is pending is what lots have pending": (
        "UPDATE balance SET pending = 1 WHERE member_id = 1",
        SPENDER,
        "balance 1 pending",
    ),
    "I4 what is owed is what clawbacks left": (
        "UPDATE balance SET owed = owed + 1 WHERE member_id = 3",
        DEBTOR,
        "balance owes 101, clawbacks left 100",
    ),
    "I4 a lot is what its entries left of it": (
        "UPDATE lot SET remaining = remaining - 1 WHERE member_id = 1",
        SPENDER,
        "remaining 299, entries 300",
    ),
    "I4 a receivable is what its entries left of it": (
        "UPDATE shortfall SET points = points + 1 WHERE mode = 2",
        PAYER,
        "receivable 101, entries 100",
    ),
    "I5 what is held is what holds have left": (
        "UPDATE balance SET held = held + 1 WHERE member_id = 2",
        HOLDER,
        "balance holds 41, holds have 40 left",
    ),
    "I5 a capture is a part of its hold": (
        "UPDATE hold SET captured = captured + 1",
        HOLDER,
        "captured 11 and voided 0, requests say 10",
    ),
    "the daily sums are those of the entries": (
        "INSERT INTO entry_daily VALUES ('2026-11-10', 7, 1, 10, 1, 1, 1, 1, 0.008, '2026-11-01')",
        0,
        "2026-11-10",
    ),
    PERIODS: (
        "UPDATE net_position SET net_minor = net_minor + 1 WHERE net_minor > 0",
        0,
        "sum to 1",
    ),
    DUES: (
        "UPDATE settlement_period SET state = 'approved'",
        0,
        "the totals are 160, of which 0 disputed and 0 carried in; what is due says",
    ),
    "I6 what was ever owed is due or is held back": (
        "UPDATE settlement_period SET state = 'approved'",
        0,
        "owed 160, still held back 0, due 0",
    ),
    "I6 a line says what its dispute says": (
        "UPDATE obligation SET source = 4, kind = 10",
        0,
        "it is , of",
    ),
    "I6 a total counts its lines": (
        "UPDATE settlement_gross SET lines = lines + 1",
        0,
        "the total says 2 lines and 200 points, there are 1 and 200",
    ),
    "I6 a line says what its entry says": (
        "UPDATE entry SET points = points + 1 WHERE member_id = 1 AND credit = 20",
        SPENDER,
        "200 points",
    ),
    "I6 a lot is settled as it was sold": (
        """INSERT INTO agreement (issuer_id, acceptor_id, effective_from, basis, rate_per_point,
            currency, breakage_owner)
          SELECT issuer_id, acceptor_id, '2026-11-01', 'at_issue', 0.01, 'CNY', 'programme'
          FROM obligation LIMIT 1""",
        SPENDER,
        "sold by 3",
    ),
    "I6 points sold at issue are paid for as they come and go": (
        """INSERT INTO period_sale (period_id, issuer_id, company_id, unit, cohort, kind, points,
            amount)
          SELECT period_id, debtor_id, creditor_id, 1, '2026-11-01', 'deferred', 5, 1
          FROM settlement_gross LIMIT 1""",
        0,
        "of 2026-11: 5 were paid for, 0 came",
    ),
    "I6 a line says what its use says": (
        "UPDATE obligation SET source = 2, kind = 3",
        SPENDER,
        "the use says  owes",
    ),
    "I6 a fund is what was paid ahead less what was drawn": (
        """INSERT INTO settlement_fund
          SELECT period_id, debtor_id, creditor_id, currency, 0, 1, 0, 1 FROM settlement_gross""",
        0,
        "the lines paid 0 ahead and drew 0, the fund says 1.00000000 and 0",
    ),
    "I6 a line says what its correction says": (
        "UPDATE obligation SET source = 3, kind = 9",
        0,
        "it says  owes",
    ),
    "I6 a line says what its voucher says": (
        "UPDATE obligation SET source = 8, kind = 4",
        SPENDER,
        "it says  owes",
    ),
    "a voucher has reserved and used what its entries say": (
        "UPDATE voucher SET used = used + 1",
        GUEST,
        "0 reserved and 2 used, its entries say 0 and 1",
    ),
    "a voucher has reserved what open reservations keep": (
        """INSERT INTO voucher_hold (request_id, voucher_id, quantity, amount_minor, price_minor,
            expires_at)
          SELECT request_id, voucher_id, 1, 1, 1, 'infinity' FROM voucher_entry
          WHERE kind = 'redeemed'""",
        0,
        "reserved, reservations keep 1",
    ),
    "no more of a redeemed voucher is cancelled than was redeemed": (
        "UPDATE voucher_entry SET amount_minor = -5000 WHERE kind = 'cancelled'",
        GUEST,
        "5000 of 1000 cancelled, price 300 of 1000",
    ),
    "I7 what a fact did is in the ledger": (
        "UPDATE business_fact SET tx_id = 1",
        GUEST,
        "there is no transaction 1",
    ),
    "I7 no two facts have one effect": (
        """INSERT INTO business_fact SELECT connection_id, 'stay', type, source_id, entity,
          entity_id, delivery_id, member_id, account_id, tx_id FROM business_fact""",
        GUEST,
        "2 facts: sale s-1, stay s-1",
    ),
    "I7 what a source earned has its fact": (
        "DELETE FROM business_fact",
        GUEST,
        "has no fact",
    ),
    "a quota is the sum of its entries": (
        """INSERT INTO entitlement (member_id, birth_member_id, benefit_id, source, source_id,
            starts_on, ends_on, granted)
          VALUES (5, 5, 1, 'staff', 'letter', '2026-01-01', '2026-12-31', 3)""",
        GUEST,
        "granted 3, held 0, used 0, ended 0; its entries say 0, 0, 0, 0",
    ),
    "held uses are what holds have left": (
        USES
        + """, held AS (INSERT INTO entitlement_hold (hold_id, business_id, quantity,
            captured, expires_at) VALUES (1, 1, 3, 1, '2026-11-10Z')) SELECT 1""",
        GUEST,
        "hold 1 has 2 left, its entries say 0",
    ),
    "no use is cancelled beyond what was used": (
        USES + " SELECT 1",
        GUEST,
        "use 1: used 1, cancelled 2",
    ),
    "the stock of a reward is what came in less what went out": (
        "UPDATE reward_stock SET available = 9",
        0,
        "scarf: 9 on the shelf, entries say 1",
    ),
    "an order has the points that it took, and those of one that ended are back": (
        "UPDATE reward_order SET state = 'cancelled'",
        GUEST,
        "is cancelled: points are spent",
    ),
    "a referral is counted for its referrer while it counts": (
        """INSERT INTO qualifying_activity (account_id, business_id, business_date, occurred_at,
            sale, key, spend_minor, paid_minor, currency, bills, nights, referrals)
          VALUES (1, 1, '2026-11-10', now(), 'referral:7', 'referral:7:1', 0, 0, 'CNY', 0, 0, 1)""",
        0,
        "referral:7 is not there, and counts 1",
    ),
}


def asked(ids: dict[str, int], business: str, member_id: int, key: str) -> dict[str, Any]:
    return {
        "business_id": ids[business],
        "member_id": member_id,
        "idempotency_key": key,
        "occurred_at": noon(DAY),
        "business_date": DAY,
        "now": noon(DAY),
    }


async def live(db: AsyncConnection) -> None:
    """A group with something of everything that is proven."""
    ids = await make_group(db, AGREED)
    tills = Tills(db, ids)
    await tills.issue("retail", SPENDER, 500, DAY)
    await tills.redeem("dining", SPENDER, 200, DAY)
    await tills.issue("hotel", HOLDER, 300, DAY)
    placed = await hold(
        db, points=50, ttl_seconds=600, today=DAY, **asked(ids, "hotel", HOLDER, "hold")
    )
    await capture(db, hold_id=placed.tx_id, points=10, **asked(ids, "hotel", HOLDER, "capture"))
    for member_id, mode in ((DEBTOR, ShortfallMode.OWED), (PAYER, ShortfallMode.RECEIVABLE)):
        sale = await tills.issue("retail", member_id, 100, DAY)
        await tills.redeem("retail", member_id, 100, DAY)
        await post_clawback(
            db, account_id=1, earn_tx=sale, points=100, qualifying=0, mode=mode, limit=1000,
            **asked(ids, "retail", member_id, f"refund-{member_id}"),
        )  # fmt: skip
    await db.execute(
        text("""INSERT INTO connection (code, business_id, connector, settings)
          VALUES ('shop', :shop, 'shop', '')"""),
        {"shop": ids["retail"]},
    )
    connection_id = await db.scalar(text("SELECT connection_id FROM connection"))
    key = f"fact:{connection_id}:sale:s-1"
    posted = await post_earns(db, [lot(GUEST, 10, business_id=ids["retail"], key=key)])
    await configure_campaigns(db, campaigns=[campaign(funder="hotel", uses=2)])
    await db.execute(text("INSERT INTO member (member_id, created_at) VALUES (5, now())"))
    voucher = await given(db, member_id=GUEST)
    hotel = await business_by_code(db, "hotel")
    bill = await redeemed(db, hotel, [voucher], member_id=GUEST)
    await cancelled(db, hotel, bill.parts[0].entry_id, key="undo", amount_minor=300)
    await db.execute(text(FACT), {"name": "s-1", "tx_id": posted[ids["retail"], key]})
    await configure_rewards(db, rewards=[reward("scarf", "retail", 10)])
    await stock(db, reward_code="scarf", quantity=2, actor="t", idempotency_key="s", now=noon(DAY))
    await order_one(
        db, business_id=ids["retail"], member_id=GUEST, code="scarf", key="o", at=noon(DAY)
    )
    period = await open_period(db, code="2026-11", now=noon(DAY))
    await close(db, period_id=period.period_id, now=noon(date(2026, 12, 1)))


async def broken(db: AsyncConnection) -> dict[str, tuple[int, str]]:
    found = {}
    for name, check in CHECKS.items():
        wrong = await check(db, name)
        if wrong is not None:
            assert wrong.invariant == name
            found[name] = (wrong.member_id, wrong.detail)
    return found


async def test_an_intact_database_breaks_nothing(db: AsyncConnection) -> None:
    await live(db)
    assert await broken(db) == {}


def test_every_invariant_is_asked_for_and_broken_here() -> None:
    assert set(CHECKS) == set(WRONG)
    of_benefits = {*OF_REFERRALS, *OF_REWARDS, *OF_VOUCHERS, *OF_QUOTAS}
    assert set(CHECKS) == {*OF_POINTS, PERIODS, DUES, *OF_PERIODS, *OF_FACTS, *of_benefits}


@pytest.mark.parametrize("invariant", WRONG)
async def test_a_row_that_breaks_an_invariant_is_named(db: AsyncConnection, invariant: str) -> None:
    breaks, member_id, says = WRONG[invariant]
    await live(db)
    await db.execute(text("SET LOCAL session_replication_role = replica"))  # no trigger minds
    await db.execute(text(breaks))
    named, detail = (await broken(db))[invariant]
    assert named == member_id
    assert says in detail


async def test_the_command_says_which_and_ends_with_code_1(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)

    async def verified() -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, ["ledger", "verify"])

    async with engine.begin() as db:
        await live(db)
    intact = await verified()
    assert intact.exit_code == 0, intact.output
    assert sum(line.startswith("holds ") for line in intact.output.splitlines()) == len(CHECKS)
    async with engine.begin() as db:
        await db.execute(text("UPDATE balance SET posted = posted + 1 WHERE member_id = 1"))
    wrong = await verified()
    assert wrong.exit_code == 1
    assert wrong.output.count("BROKEN") == 2
    assert "member 1: unit 1: balance 301, entries 300" in wrong.output
