"""Subscribers are told of benefits: each of its own customers, and of what it may know alone."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import text

from hub.benefits.occasions.configure import OccasionConfig, configure_occasions
from hub.benefits.rewards.configure import configure_rewards
from hub.benefits.tiers.give_tier_notice import give_tier_notice
from hub.benefits.tiers.promote import promote
from hub.benefits.vouchers.configure import configure_campaigns
from hub.benefits.vouchers.expire import expire_vouchers
from hub.benefits.vouchers.notify_ending import notify_ending
from hub.egress.events import EventKind
from hub.egress.subscribe import SubscriptionConfig, subscribe
from hub.jobs.runtime import Runtime
from hub.points.give_notice import give_notice
from hub.points.notify_expiry import notify_expiry
from tests.integration.test_egress import NEW, OLD, Receiver, receiver, runtime, tell
from tests.support.benefits import SPRING, ZONE, qualify
from tests.support.ledger import give
from tests.support.rewards import order_one, reward
from tests.support.vouchers import campaign, given

__all__ = ["receiver", "runtime"]  # fixtures
DAY = timedelta(days=1)


async def listen(runtime: Runtime, receiver: Receiver, *types: EventKind) -> None:
    """Have the shop (its own) and the hotel told of these."""
    async with runtime.engine.begin() as db:
        for code in ("retail", "hotel"):
            config = SubscriptionConfig(
                code=f"at-{code}", business=code, url=receiver.url, types=types, secrets=(NEW, OLD)
            )
            await subscribe(db, config=config, keyring=runtime.keyring)
        await db.execute(text("UPDATE subscription SET active = false, stopped_because = 'test' "
                              "WHERE code = 'shop'"))  # fmt: skip


def said(receiver: Receiver) -> list[dict[str, Any]]:
    """What was told, in order, without when."""
    told = [(int(name.removeprefix("evt_")), body) for name, body in receiver.got]
    return [
        {"type": body["type"], **{k: v for k, v in body["data"].items() if k != "occurred_at"}}
        for _, body in sorted(told, key=lambda one: one[0])
    ]


async def test_notices_of_tiers_and_points_are_told_where_the_member_is_known(
    runtime: Runtime, receiver: Receiver
) -> None:
    await listen(runtime, receiver, EventKind.TIER_NOTICE, EventKind.POINTS_EXPIRING)
    async with runtime.engine.begin() as db:
        await qualify(db, 1, 1000, SPRING, key="a")
        await promote(db, member_ids=[1], now=SPRING, time_zone=ZONE)
        due = list(await db.scalars(text("SELECT notice_id FROM tier_notice")))
        for _ in range(2):
            await give_tier_notice(db, notice_ids=due, now=SPRING, time_zone=ZONE)
    await tell(runtime)
    await tell(runtime)
    notice = {"type": "tier.notice", "member_id": "1", "notice": "upgraded", "ladder": "group",
              "tier": "bronze", "days_ahead": None, "valid_until": "2027-12-31"}  # fmt: skip
    assert said(receiver) == [
        {**notice, "business": "retail", "external_id": "c-1-1"},
        {**notice, "business": "hotel", "external_id": "c-1-2"},
    ]
    receiver.got.clear()
    async with runtime.engine.begin() as db:
        ends = date(2026, 12, 31)
        await give(db, 1, 30, expires_on=ends)
        day = ends - 7 * DAY
        at = datetime.combine(day, SPRING.timetz())
        await notify_expiry(db, today=day, now=at, available_at=at)
        due = list(await db.scalars(text("SELECT notice_id FROM expiry_notice")))
        await give_notice(db, notice_ids=due, today=day, now=at)
    await tell(runtime)
    assert [(one["business"], one["points"], one["days_ahead"]) for one in said(receiver)] == [
        ("retail", 30, 7),
        ("hotel", 30, 7),
    ]


async def test_a_voucher_is_told_of_to_those_who_take_it(
    runtime: Runtime, receiver: Receiver
) -> None:
    await listen(
        runtime, receiver, EventKind.VOUCHER_GIVEN, EventKind.VOUCHER_ENDING,
        EventKind.VOUCHER_EXPIRED,
    )  # fmt: skip
    async with runtime.engine.begin() as db:
        await configure_campaigns(db, campaigns=[campaign(funder="hotel", businesses=["hotel"])])
        voucher = await given(db, member_id=1)
        row = await db.execute(text("SELECT voucher_id, ends_at FROM voucher"))
        voucher_id, ends_at = row.one()
        for _ in range(2):
            await notify_ending(db, now=ends_at - DAY, horizon=ends_at)
        await expire_vouchers(db, now=ends_at + DAY)
    assert voucher is not None
    await tell(runtime)
    found = said(receiver)
    assert {(one["business"], one["voucher"]) for one in found} == {("hotel", str(voucher_id))}
    assert [(one["type"], one.get("how"), one.get("days_ahead")) for one in found] == [
        ("voucher.given", "assigned", None),
        ("voucher.ending", None, 1),
        ("voucher.expired", None, None),
    ]


async def test_an_order_is_told_of_to_who_hands_it_out(
    runtime: Runtime, receiver: Receiver
) -> None:
    await listen(runtime, receiver, EventKind.REWARD_CHANGED)
    async with runtime.engine.begin() as db:
        await give(db, 1, 50)
        await configure_rewards(db, rewards=[reward("tea", "retail", 10, stock="unlimited")])
        await order_one(db, business_id=1, member_id=1, code="tea", key="o", at=SPRING)
    await tell(runtime)
    [told] = said(receiver)
    assert (told["business"], told["reward"], told["state"], told["points"]) == (
        "retail", "tea", "confirmed", 10,
    )  # fmt: skip


async def test_a_birthday_is_nobody_s_business(runtime: Runtime, receiver: Receiver) -> None:
    await listen(runtime, receiver, EventKind.OCCASION_GIVEN)
    async with runtime.engine.begin() as db:
        await configure_occasions(
            db,
            occasions=[
                OccasionConfig(
                    code=kind, kind=kind, effective_from=date(2026, 1, 1), name=kind,
                    name_zh=kind, points=5, business="retail",
                )
                for kind in ("birthday", "anniversary")
            ],
        )  # fmt: skip
        await db.execute(
            text("""
              INSERT INTO occasion_grant (member_id, occasion_id, year, account_id, terms_from,
                given_at)
              SELECT 1, occasion_id, 2026, 11, '2026-01-01', :at FROM occasion"""),
            {"at": SPRING},
        )
    await tell(runtime)
    assert [(one["business"], one["occasion"]) for one in said(receiver)] == [
        ("retail", "anniversary"),
        ("hotel", "anniversary"),
    ]
    assert await _due(runtime) == 0


async def test_what_nobody_asked_for_is_not_kept(runtime: Runtime, receiver: Receiver) -> None:
    async with runtime.engine.begin() as db:
        await configure_campaigns(db, campaigns=[campaign(funder="hotel")])
        await given(db, member_id=1)
    assert await _due(runtime) == 0
    await tell(runtime)
    assert receiver.got == []


async def _due(runtime: Runtime) -> int:
    async with runtime.engine.connect() as db:
        return int(await db.scalar(text("SELECT count(*) FROM event_due")) or 0)
