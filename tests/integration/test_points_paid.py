"""What was paid in points and is refunded: which redemption it was, and what if nobody knows."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.connector import EventType
from hub.entrypoints.checks import Verdict, points_to_give_back
from hub.errors import Malformed
from hub.ledger.codes import Outcome
from hub.ledger.verify import verify
from hub.points.due_back import PaidBack, due_back
from hub.points.redeem import redeem
from hub.points.restore import restore
from hub.programme.policy_config import ActivationPolicyConfig
from tests.support.earning import START
from tests.support.ledger import NOON, TODAY
from tests.support.refunds import SHOPS, Shops, bill, open_shops, refund, spend

PAID = bill("B", 7_000, points=7_000)


@pytest.fixture
async def shops(db: AsyncConnection) -> Shops:
    """A member who got 100 points at the hotel and spent 70 of them at the restaurant."""
    opened = await open_shops(db)
    await opened.hear("hotel", bill("S", 10_000))
    await spend("dining", 70)(opened)
    return opened


async def posted(shops: Shops) -> int:
    assert await verify(shops.db) == []
    return (await shops.books(close_month=False)).balance[0]


async def unresolved(shops: Shops) -> Sequence[str]:
    rows = await shops.db.scalars(
        text("SELECT unresolved FROM points_paid_refund WHERE unresolved IS NOT NULL")
    )
    return rows.all()


async def number_of(shops: Shops) -> int:
    return await shops.db.scalar(text("SELECT tx_id FROM ledger_transaction WHERE kind = 2"))


@pytest.mark.parametrize("reference", [None, "till-9", "1", "-1", "9" * 30, "point de vente"])
async def test_a_redemption_nobody_knows_is_noted_and_what_was_earned_is_taken_back(
    shops: Shops, reference: str | None
) -> None:
    await shops.hear("dining", bill("B", 7_000, 1_000, points=7_000, reference=reference))
    assert await posted(shops) == 30 + 10
    states = await shops.hear("dining", refund("R", "B", 8_000, points=7_000))
    assert await posted(shops) == 30
    assert states[-1] == ("done", None)
    assert len(await unresolved(shops)) == 1
    await shops.db.execute(text("UPDATE points_paid_refund SET noted_at = statement_timestamp()"))
    found = await points_to_give_back(shops.db)
    assert found.verdict is Verdict.WARNING
    assert "dining, refund R" in found.says


async def test_a_redemption_of_another_business_is_not_given_back(shops: Shops) -> None:
    await shops.hear("retail", PAID, refund("R", "B", 7_000, points=7_000))
    assert await posted(shops) == 30
    assert len(await unresolved(shops)) == 1


async def test_a_receipt_may_name_the_transactions_number(shops: Shops) -> None:
    number = str(await number_of(shops))
    await shops.hear("dining", bill("B", 7_000, points=7_000, reference=number))
    await shops.hear("dining", refund("R", "B", 7_000, points=7_000))
    assert await posted(shops) == 100


async def test_what_could_not_be_given_back_is_once_a_refund_names_it(shops: Shops) -> None:
    await shops.hear("dining", bill("B", 7_000, points=7_000, reference=None))
    await shops.hear("dining", refund("R1", "B", 3_000, points=3_000))
    assert len(await unresolved(shops)) == 1
    await shops.hear("dining", refund("R2", "B", 1_000, points=1_000, reference="till-1"))
    assert await posted(shops) == 30 + 40
    assert await unresolved(shops) == []
    assert (await points_to_give_back(shops.db)).verdict is Verdict.OK


async def test_what_the_till_gave_back_is_not_given_back_again(shops: Shops) -> None:
    await restore(
        shops.db, business_id=SHOPS["dining"], member_id=await shops.member(),
        redemption_tx=await number_of(shops), points=50, idempotency_key="by-hand",
        occurred_at=NOON, business_date=TODAY, today=TODAY, now=NOON,
    )  # fmt: skip
    await shops.hear("dining", PAID, refund("R1", "B", 3_500, points=3_500))
    assert await posted(shops) == 30 + 50
    await shops.hear("dining", refund("R2", "B", 3_500, points=3_500))
    assert await posted(shops) == 100


@pytest.mark.parametrize("refund_first", [False, True])
@pytest.mark.parametrize("sale", [PAID, bill("B", 8_000, points=7_000)])
async def test_a_refund_in_another_currency_moves_nothing(
    shops: Shops, sale: Any, refund_first: bool
) -> None:
    """Also of a bill that earned nothing, as points paid all of it."""
    yen = refund("R", "B", 7_000, points=7_000, currency="JPY")
    before = await posted(shops)
    earned = sum(line.net_minor for line in sale.lines) // 100 - 70
    if refund_first:
        await shops.hear("dining", yen)
        states = await shops.hear("dining", sale)
        assert states[-2:] == [("dead", "currency"), ("done", None)]
    else:
        await shops.hear("dining", sale)
        async with shops.db.begin_nested() as attempt:
            with pytest.raises(Malformed) as said:
                await shops.hear("dining", yen)
            await attempt.rollback()
        assert said.value.facts["field"] == "currency"
    assert await posted(shops) == before + earned


async def test_a_refund_that_takes_points_is_refused(shops: Shops) -> None:
    await shops.hear("dining", PAID)
    back = refund("R", "B", 7_000, points=7_000)
    wrong = replace(back, tenders=(replace(back.tenders[0], amount_minor=-7_000),))
    with pytest.raises(Malformed) as said:
        await shops.hear("dining", wrong)
    assert said.value.facts["field"] == "tenders.amount_minor"


async def test_a_refund_before_its_bill_waits_and_loses_nothing(shops: Shops) -> None:
    await shops.hear("dining", refund("R", "B", 7_000, points=7_000))
    assert await posted(shops) == 30
    await shops.hear("dining", PAID)
    assert await posted(shops) == 100


async def test_points_of_a_refunded_stay_that_were_not_active_yet_are_taken(
    db: AsyncConnection,
) -> None:
    waits = ActivationPolicyConfig(business="hotel", effective_from=START, mode="on_checkout")
    shops = await open_shops(db, activation_policies=(waits,))
    await shops.hear("hotel", bill("S", 10_000))
    await shops.hear("hotel", refund("R", "S", 4_000))
    assert (await shops.books(close_month=False)).balance == (60, 0, 60, 0)
    stay = replace(bill("C", 5_000, at=NOON + timedelta(hours=3)), type=EventType.STAY_COMPLETED)
    shops.now = NOON + timedelta(hours=4)
    await shops.hear("hotel", stay)
    assert (await shops.books(close_month=False)).balance == (110, 0, 0, 110)
    await shops.hear("hotel", bill("L", 1_000, at=NOON + timedelta(hours=2)))
    await shops.hear("hotel", bill("N", 2_000, at=NOON + timedelta(hours=4)))
    assert (await shops.books(close_month=False)).balance == (140, 0, 20, 120)


async def test_refunds_of_bills_that_each_others_points_paid_do_not_wait_in_a_circle(
    engine: AsyncEngine,
) -> None:
    """Both refunds wait for their bill; either bill's batch needs both members' balances."""
    async with engine.begin() as db:
        shops = await open_shops(db)
        people = [f"+861390000000{n}" for n in (1, 2)]
        for phone in people:
            await shops.hear("hotel", bill(f"S{phone}", 100_000, phone=phone))
        members = (await db.scalars(text("SELECT member_id FROM member ORDER BY 1"))).all()
    for turn in range(12):
        paid = []
        async with engine.begin() as db:
            for who in (0, 1):
                key, number = f"{turn}-{who}", f"B{turn}-{who}"
                answer = await redeem(
                    db, business_id=SHOPS["dining"], member_id=members[1 - who], points=10,
                    idempotency_key=key, occurred_at=NOON, business_date=TODAY, today=TODAY,
                    now=NOON,
                )  # fmt: skip
                assert answer.outcome is Outcome.POSTED
                at = replace(shops, db=db)
                await at.hear("dining", refund(f"R{number}", number, 1_000, points=1_000))
                paid.append(bill(number, 2_000, points=1_000, reference=key, phone=people[who]))

        async def arrive(one: Any) -> None:
            async with engine.begin() as db:
                await replace(shops, db=db).hear("dining", one)

        await asyncio.gather(*map(arrive, paid))
    async with engine.connect() as db:
        assert await verify(db) == []
        restored = await db.scalar(
            text("SELECT sum(points) FROM ledger_transaction WHERE kind = 8 AND outcome = 0")
        )
    assert restored == 12 * 2 * 10


def test_money_is_given_back_first_where_a_refund_does_not_say() -> None:
    def due(*refunds: tuple[int, int | None]) -> int:
        back = [PaidBack(amount_minor=amount, points_minor=points) for amount, points in refunds]
        return due_back(money_minor=30, points_minor=70, refunds=back)

    assert due((20, None)) == 0
    assert due((20, None), (20, None)) == 10
    assert due((30, 0), (40, None)) == 40
    assert due((40, 20), (60, None)) == 70
    assert due((500, None)) == 70
