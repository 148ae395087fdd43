"""Points come back to a lot: what is still due is taken then, and none is active too soon."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Outcome, ShortfallMode
from hub.ledger.post import post_clawback, post_earns, post_expiry, post_reinstatement
from hub.ledger.queries import balances
from hub.ledger.verify import verify
from hub.points.redeem import redeem
from hub.points.restore import GRACE_DAYS, restore
from tests.support.ledger import NOON, TODAY, give, lot

TOMORROW = TODAY + timedelta(days=1)
WHERE: dict[str, Any] = {"business_id": 1, "member_id": 7, "occurred_at": NOON, "now": NOON}
THEN: dict[str, Any] = {**WHERE, "business_date": TODAY}


@pytest.mark.parametrize("mode", ShortfallMode)
async def test_what_a_refund_could_not_take_is_taken_when_its_points_come_back(
    db: AsyncConnection, mode: ShortfallMode
) -> None:
    sale = await give(db, 7, 100)
    spent = await redeem(db, **THEN, today=TODAY, points=70, idempotency_key="r")
    clawed = await post_clawback(
        db, **THEN, account_id=71, earn_tx=sale, points=100, qualifying=0, idempotency_key="c",
        mode=mode, limit=1000,
    )  # fmt: skip
    assert clawed.shortfall == 70
    back = {"redemption_tx": spent.tx_id, "points": 70, "today": TODAY, "idempotency_key": "b"}
    assert (await restore(db, **THEN, **back)).outcome is Outcome.POSTED
    balance = (await balances(db, member_ids=[7], today=TODAY, now=NOON))[7]
    assert (balance.posted, balance.owed, balance.available) == (0, 0, 0)
    assert await verify(db) == []


async def test_what_was_not_active_when_it_ended_still_is_not(db: AsyncConnection) -> None:
    later = NOON + timedelta(days=9)
    lot_id = await give(db, 7, 100, expires_on=TODAY, activates_at=later)
    await post_expiry(db, member_ids=[7], today=TOMORROW, now=NOON)
    back = {"lot_id": lot_id, "points": None, "until": later.date(), "reason": "was ill"}
    await post_reinstatement(db, **THEN, **back, idempotency_key="i")
    balance = (await balances(db, member_ids=[7], today=TODAY, now=NOON))[7]
    assert (balance.posted, balance.pending, balance.available) == (100, 100, 0)
    assert await verify(db) == []
    balance = (await balances(db, member_ids=[7], today=TODAY, now=later))[7]
    assert balance.available == 100


async def test_what_was_declined_or_said_before_is_no_activity(db: AsyncConnection) -> None:
    """Idle points end by what a member does, not by what a till asks in vain, or again."""
    await give(db, 7, 100, expires_on=TODAY)
    asked: dict[str, Any] = {**THEN, "today": TODAY, "points": 60, "idempotency_key": "r"}
    assert (await redeem(db, **asked)).outcome is Outcome.POSTED
    seen = text("SELECT last_active_on, version FROM balance WHERE member_id = 7")
    before = (await db.execute(seen)).one()
    again = {**asked, "points": 30, "business_date": TOMORROW, "today": TOMORROW}
    assert (await redeem(db, **{**again, "points": 60})).replayed
    declined = await redeem(db, **{**again, "idempotency_key": "late"})
    assert declined.outcome is Outcome.INSUFFICIENT_POINTS
    assert (await db.execute(seen)).one() == before


@pytest.mark.parametrize("restored_first", [False, True])
async def test_what_a_limit_forgave_is_the_first_to_be_taken_whatever_came_first(
    db: AsyncConnection, restored_first: bool
) -> None:
    sale = await give(db, 7, 100)
    spent = await redeem(db, **THEN, today=TODAY, points=70, idempotency_key="r")
    back = {"redemption_tx": spent.tx_id, "points": 35, "today": TODAY, "idempotency_key": "b"}
    if restored_first:
        await restore(db, **THEN, **back)
    await post_clawback(
        db, **THEN, account_id=71, earn_tx=sale, points=100, qualifying=0, idempotency_key="c",
        mode=ShortfallMode.OWED, limit=50,
    )  # fmt: skip
    if not restored_first:
        await restore(db, **THEN, **back)
    balance = (await balances(db, member_ids=[7], today=TODAY, now=NOON))[7]
    assert (balance.posted, balance.owed, balance.available) == (-35, 35, 0)
    assert await verify(db) == []


async def test_points_given_back_to_an_idle_lot_are_not_idle(db: AsyncConnection) -> None:
    request = replace(lot(7, 100), idle_months=1)
    await post_earns(db, [request], now=NOON)
    spent = await redeem(db, **THEN, today=TODAY, points=70, idempotency_key="r")
    later = NOON + timedelta(days=60)
    on = later.date()
    await restore(
        db, **{**WHERE, "occurred_at": later, "now": later}, business_date=on, today=on,
        redemption_tx=spent.tx_id, points=70, idempotency_key="b",
    )  # fmt: skip
    await post_expiry(db, member_ids=[7], today=on, now=later)
    balance = (await balances(db, member_ids=[7], today=on, now=later))[7]
    assert balance.available == 100


@pytest.mark.parametrize("swept_first", [False, True])
async def test_what_had_ended_is_not_revived_by_what_comes_back(
    db: AsyncConnection, swept_first: bool
) -> None:
    await give(db, 7, 50, expires_on=TODAY)
    spent = await redeem(db, **THEN, today=TODAY, points=10, idempotency_key="r")
    if swept_first:
        await post_expiry(db, member_ids=[7], today=TOMORROW, now=NOON)
    for key in ("b", "b"):
        back = await restore(
            db, **WHERE, business_date=TOMORROW, today=TOMORROW, redemption_tx=spent.tx_id,
            points=7, idempotency_key=key,
        )  # fmt: skip
    assert back.replayed
    await post_expiry(db, member_ids=[7], today=TOMORROW, now=NOON)
    ends = TOMORROW + timedelta(days=GRACE_DAYS)
    balance = (await balances(db, member_ids=[7], today=ends, now=NOON))[7]
    assert (balance.posted, balance.available) == (7, 7)
    assert await verify(db) == []
