"""Rewards: points, pieces and money move together, or not at all; what is given up comes back."""

import asyncio
from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.rewards.codes import OrderOutcome, OrderState
from hub.benefits.rewards.configure import configure_rewards
from hub.benefits.rewards.fulfil import fulfil
from hub.benefits.rewards.lapse import lapse
from hub.benefits.rewards.pay import pay
from hub.benefits.rewards.queries import OrderFilter, orders_of, reward_named, reward_page, steps_of
from hub.benefits.rewards.stock import stock
from hub.benefits.rewards.verify import CHECKS, check
from hub.benefits.tiers.promote import promote
from hub.db.keyset import Stretch
from hub.errors import Conflict, Malformed, NotFound, Rejected
from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from hub.ledger.verify import verify
from hub.points.restore import restore
from tests.support.benefits import ZONE, make_ladder, qualify
from tests.support.rewards import KEYRING, end_one, order_one, reward
from tests.support.settlement import Tills, noon

DAY = date(2026, 7, 1)
NOON = noon(DAY)
SCARF = reward("scarf", "retail", 300)
NIGHT = reward("night", "hotel", 500, price_minor=30_000, pay_within_seconds=600)
MEAL = reward("meal", "dining", 100, stock="unlimited", limit_orders=2, limit_period="month")
SUITE = reward("suite", "hotel", 100, stock="unlimited", tier="silver")
LATER = reward("later", "retail", 100, stock="unlimited", effective_from=NOON + timedelta(days=30))
GONE = reward("gone", "retail", 100, stock="unlimited", available_until=NOON)
LEDGER_LOTS = "SELECT lot_id, remaining FROM lot WHERE member_id = 1 ORDER BY lot_id"
BALANCE = "SELECT posted, held FROM balance WHERE member_id = 1 AND unit = 1"


async def catalogue(
    db: AsyncConnection, *, scarves: int = 2, points: int = 1000, others: int = 0
) -> dict[str, int]:
    """The catalogue, with member 1 having points in two lots; returns the businesses' ids."""
    ids = await make_ladder(db, benefits=[], members=40)
    await configure_rewards(db, rewards=[SCARF, NIGHT, MEAL, SUITE, LATER, GONE])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, points // 4, DAY, expires_on=date(2026, 12, 31))
    await tills.issue("dining", 1, points - points // 4, DAY)
    for member_id in range(2, 2 + others):
        await tills.issue("retail", member_id, 300, DAY)
    for code, pieces in (("scarf", scarves), ("night", 1)):
        if pieces:
            await put(db, code, pieces)
    return ids


async def put(db: AsyncConnection, code: str, pieces: int, key: str = "first") -> int:
    done = await stock(
        db, reward_code=code, quantity=pieces, actor="test", idempotency_key=f"{code}-{key}",
        now=NOON,
    )  # fmt: skip
    return done.available


async def want(db: AsyncConnection, ids: dict[str, int], code: str, key: str, **other):
    asked = {"member_id": 1, "at": NOON, **other}
    shop = {"scarf": "retail", "night": "hotel", "meal": "dining", "suite": "hotel",
            "later": "retail", "gone": "retail"}[code]  # fmt: skip
    return await order_one(db, business_id=ids[shop], code=code, key=key, **asked)


async def shelf(db: AsyncConnection, code: str) -> int | None:
    found = await reward_named(db, code=code, now=NOON)
    assert found is not None
    return found.available


async def sound(db: AsyncConnection) -> None:
    assert [one for name in CHECKS if (one := await check(db, name))] == []
    assert [one for one in await verify(db) if not one.invariant.startswith("the daily")] == []


async def test_points_and_a_piece_go_and_the_very_lots_come_back(db: AsyncConnection) -> None:
    ids = await catalogue(db)
    before = (await db.execute(text(LEDGER_LOTS))).all()
    answer = await want(db, ids, "scarf", "k")
    assert (answer.outcome, answer.replayed) == (OrderOutcome.ORDERED, False)
    assert tuple((await db.execute(text(BALANCE))).one()) == (700, 0)
    assert await shelf(db, "scarf") == 1
    again = await want(db, ids, "scarf", "k", at=NOON + timedelta(days=2))
    assert (again.order_id, again.replayed) == (answer.order_id, True)
    assert await shelf(db, "scarf") == 1
    for _ in range(2):
        ended = await end_one(db, answer.order_id, at=NOON + timedelta(days=3))
        assert ended.state is OrderState.CANCELLED
    assert (await db.execute(text(LEDGER_LOTS))).all() == before
    assert await shelf(db, "scarf") == 2
    steps = (await steps_of(db, [answer.order_id]))[answer.order_id]
    assert [one.state for one in steps] == ["confirmed", "cancelled"]
    await sound(db)


async def test_a_purpose_goes_along_so_that_agreements_may_price_it(db: AsyncConnection) -> None:
    ids = await catalogue(db)
    await want(db, ids, "meal", "k")
    kept = await db.execute(text("SELECT award, category FROM redemption_purpose"))
    assert [tuple(row) for row in kept] == [("meal", "goods")]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("suite", OrderOutcome.TIER_REQUIRED),
        ("later", OrderOutcome.NOT_AVAILABLE),
        ("gone", OrderOutcome.NOT_AVAILABLE),
    ],
)
async def test_what_may_not_be_had_is_declined_and_stays_so(
    db: AsyncConnection, code: str, outcome: OrderOutcome
) -> None:
    ids = await catalogue(db)
    assert (await want(db, ids, code, "k")).outcome is outcome
    await qualify(db, 1, 2000, NOON, key="up")
    await promote(db, member_ids=[1], now=NOON, time_zone=ZONE)
    again = await want(db, ids, code, "k", at=NOON + timedelta(days=40))
    assert (again.outcome, again.replayed) == (outcome, True)
    anew = await want(db, ids, code, "other", at=NOON + timedelta(days=40))
    assert (anew.outcome is OrderOutcome.ORDERED) == (code != "gone")
    await sound(db)


async def test_nothing_moves_where_points_or_pieces_are_too_few(db: AsyncConnection) -> None:
    ids = await catalogue(db, scarves=1, points=640)
    assert (await want(db, ids, "scarf", "a")).outcome is OrderOutcome.ORDERED
    declined = await want(db, ids, "scarf", "b")
    assert declined.outcome is OrderOutcome.OUT_OF_STOCK
    assert tuple((await db.execute(text(BALANCE))).one()) == (340, 0)
    too_few = await want(db, ids, "night", "c")
    assert (too_few.outcome, too_few.available) == (OrderOutcome.INSUFFICIENT_POINTS, 340)
    assert await shelf(db, "night") == 1
    again = await want(db, ids, "night", "c")
    assert (again.outcome, again.available, again.replayed) == (
        OrderOutcome.INSUFFICIENT_POINTS, 340, True)  # fmt: skip
    await sound(db)


async def test_a_limit_counts_what_stands_in_its_period(db: AsyncConnection) -> None:
    ids = await catalogue(db)
    first = await want(db, ids, "meal", "1")
    await want(db, ids, "meal", "2")
    assert (await want(db, ids, "meal", "3")).outcome is OrderOutcome.LIMIT_REACHED
    await end_one(db, first.order_id, at=NOON)
    assert (await want(db, ids, "meal", "4")).outcome is OrderOutcome.ORDERED
    # In the group's zone August begins eight hours before it does in UTC.
    july = noon(date(2026, 7, 31)) + timedelta(hours=3, minutes=59)
    assert (await want(db, ids, "meal", "5", at=july)).outcome is OrderOutcome.LIMIT_REACHED
    august = july + timedelta(minutes=1)
    assert (await want(db, ids, "meal", "6", at=august)).outcome is OrderOutcome.ORDERED


async def test_a_key_is_one_request(db: AsyncConnection) -> None:
    ids = await catalogue(db)
    await want(db, ids, "meal", "k")
    with pytest.raises(Conflict) as other:
        await want(db, ids, "scarf", "k")
    assert other.value.field == "reward"
    with pytest.raises(Conflict) as other:
        await want(db, ids, "meal", "k", member_id=2)
    assert other.value.field == "member_id"
    with pytest.raises(NotFound):
        await order_one(db, business_id=ids["hotel"], member_id=1, code="meal", key="x", at=NOON)


async def test_money_confirms_what_waits_for_it(db: AsyncConnection) -> None:
    ids = await catalogue(db)
    await put(db, "night", 1, key="second")
    answer = await want(db, ids, "night", "k")
    assert tuple((await db.execute(text(BALANCE))).one()) == (1000, 500)
    paid = {"actor": "till", "business_date": DAY, "today": DAY, "now": NOON + timedelta(minutes=5),
            "keyring": KEYRING}  # fmt: skip
    for _ in range(2):
        done = await pay(db, order_id=answer.order_id, payment_reference="card-1", **paid)
        assert (done.state, done.payment_reference) == (OrderState.CONFIRMED, "card-1")
    assert tuple((await db.execute(text(BALANCE))).one()) == (500, 0)
    with pytest.raises(Rejected) as no:
        await pay(db, order_id=answer.order_id, payment_reference="card-2", **paid)
    assert no.value.facts["state"] == "confirmed"
    second = await want(db, ids, "night", "k2")
    with pytest.raises(Conflict) as taken:
        async with db.begin_nested():
            await pay(db, order_id=second.order_id, payment_reference="card-1", **paid)
    assert taken.value.field == "payment_reference"
    back = await end_one(db, answer.order_id, at=NOON + timedelta(hours=1))
    assert back.state is OrderState.CANCELLED
    assert tuple((await db.execute(text(BALANCE))).one()) == (1000, 500)
    await sound(db)


async def test_what_nobody_pays_for_lapses_once(db: AsyncConnection) -> None:
    ids = await catalogue(db)
    answer = await want(db, ids, "night", "k")
    assert await shelf(db, "night") == 0
    early = NOON + timedelta(seconds=599)
    assert await lapse(db, today=DAY, now=early, after=0) == (0, None)
    late = NOON + timedelta(seconds=600)
    assert await lapse(db, today=DAY, now=late, after=0) == (1, answer.order_id)
    assert await lapse(db, today=DAY, now=late, after=0) == (0, None)
    assert await shelf(db, "night") == 1
    assert tuple((await db.execute(text(BALANCE))).one()) == (1000, 0)
    with pytest.raises(Rejected) as no:
        await pay(db, order_id=answer.order_id, payment_reference="late", actor="till",
                  business_date=DAY, today=DAY, now=late, keyring=KEYRING)  # fmt: skip
    assert no.value.facts["state"] == "lapsed"
    await sound(db)


async def test_what_was_handed_out_can_come_back_but_not_be_cancelled(db: AsyncConnection) -> None:
    ids = await catalogue(db)
    answer = await want(db, ids, "scarf", "k")
    with pytest.raises(Rejected):
        await end_one(db, answer.order_id, at=NOON, to=OrderState.RETURNED)
    for note in (None, "SF-1", "SF-1"):
        sent = await fulfil(
            db, order_id=answer.order_id, actor="shop", now=NOON, delivery_note=note
        )
    assert (sent.state, sent.delivery_note) == (OrderState.FULFILLED, "SF-1")
    with pytest.raises(Rejected) as no:
        await end_one(db, answer.order_id, at=NOON)
    assert no.value.facts["state"] == "fulfilled"
    await end_one(db, answer.order_id, at=NOON, to=OrderState.RETURNED, restock=False)
    assert await shelf(db, "scarf") == 1
    assert tuple((await db.execute(text(BALANCE))).one()) == (1000, 0)
    steps = (await steps_of(db, [answer.order_id]))[answer.order_id]
    assert [one.state for one in steps] == ["confirmed", "fulfilled", "returned"]
    await sound(db)


async def test_the_shelf_is_received_once_and_never_below_nothing(db: AsyncConnection) -> None:
    await catalogue(db)
    assert await put(db, "scarf", 5, key="more") == 7
    assert await put(db, "scarf", 5, key="more") == 7
    with pytest.raises(Conflict):
        await put(db, "scarf", 6, key="more")
    assert await put(db, "scarf", -7, key="off") == 0
    for pieces, wrong in ((-1, Rejected), (0, Malformed)):
        with pytest.raises(wrong):
            async with db.begin_nested():
                await put(db, "scarf", pieces, key="no")
    assert await put(db, "scarf", 1, key="no") == 1  # what was refused has left no trace
    await sound(db)


async def test_history_is_not_rewritten(db: AsyncConnection) -> None:
    ids = await catalogue(db)
    await want(db, ids, "scarf", "k")
    for statement in (
        "UPDATE reward_order SET points = 1",
        "UPDATE reward_order SET state = 'returned'",
        "DELETE FROM reward_order",
        "DELETE FROM reward_order_step",
        "UPDATE reward_stock_entry SET quantity = 9",
        "UPDATE reward_stock SET available = -1",
        "UPDATE reward_terms SET points = 1",
    ):
        with pytest.raises(IntegrityError):
            async with db.begin_nested():
                await db.execute(text(statement))


async def test_the_catalogue_has_what_can_be_had_cheapest_first(db: AsyncConnection) -> None:
    ids = await catalogue(db, scarves=0)
    asked = {"now": NOON, "stretch": Stretch(9)}
    found = [one.code for one in await reward_page(db, **asked, only={})]
    assert sorted(found[:2]) == ["meal", "suite"]
    assert found[2:] == ["night"]
    cheap = await reward_page(db, **asked, only={"most_points": 499})
    assert {one.code for one in cheap} == {"meal", "suite"}
    at_hotel = await reward_page(db, **asked, only={"business_id": ids["hotel"]})
    assert [one.code for one in at_hotel] == ["suite", "night"]


async def test_terms_are_dated_and_none_is_edited(db: AsyncConnection) -> None:
    ids = await catalogue(db)
    await configure_rewards(db, rewards=[SCARF])
    with pytest.raises(Conflict) as edited:
        await configure_rewards(db, rewards=[reward("scarf", "retail", 301)])
    assert edited.value.field == "points"
    with pytest.raises(Conflict) as moved:
        await configure_rewards(db, rewards=[reward("scarf", "hotel", 300)])
    assert moved.value.field == "business"
    dearer = reward("scarf", "retail", 400, effective_from=NOON + timedelta(days=1))
    await configure_rewards(db, rewards=[dearer])
    for day, points in ((0, 300), (2, 400)):
        await want(db, ids, "scarf", f"k{day}", at=NOON + timedelta(days=day))
        [newest] = (await orders_of(db, member_ids=[1], stretch=Stretch(1), only=OrderFilter()))[1]
        assert newest.points == points


async def test_orders_go_with_their_account_through_a_merge_and_a_split(
    db: AsyncConnection,
) -> None:
    ids = await catalogue(db, others=1)
    facts = {"shop": ids["retail"]}
    await db.execute(
        text("""
          INSERT INTO account (account_id, business_id, external_id, created_at)
          OVERRIDING SYSTEM VALUE
          SELECT n * 10, CAST(:shop AS smallint), 'c-' || n, '2026-01-01Z'
          FROM generate_series(1, 2) n"""),
        facts,
    )
    await db.execute(
        text("""
          INSERT INTO account_link (account_id, member_id, method, valid)
          SELECT account_id, account_id / 10, 'birth', tstzrange('2026-01-01Z', NULL)
          FROM account""")
    )
    night = await want(db, ids, "night", "n")
    scarf = await want(db, ids, "scarf", "s", member_id=2)
    who = {"method": "staff", "actor": "mei", "now": NOON}
    await merge_members(db, member_ids=[1, 2], **who)
    of = await orders_of(db, member_ids=[1], stretch=Stretch(9), only=OrderFilter())
    assert [one.order_id for one in of[1]] == [scarf.order_id, night.order_id]
    meal = await want(db, ids, "meal", "m")
    await pay(db, order_id=night.order_id, payment_reference="card", actor="till",
              business_date=DAY, today=DAY, now=NOON, keyring=KEYRING)  # fmt: skip
    await end_one(db, scarf.order_id, at=NOON)
    assert (
        await db.scalar(text("SELECT posted FROM balance WHERE member_id = 1 AND unit = 1")) == 700
    )
    await split_members(
        db, member_id=1, account_ids=[20], actor="mei", now=NOON + timedelta(days=1), reason="two"
    )
    of = await orders_of(db, member_ids=[1, 2], stretch=Stretch(9), only=OrderFilter())
    parted = [[one.order_id for one in of[member_id]] for member_id in (1, 2)]
    assert parted == [[meal.order_id, night.order_id], [scarf.order_id]]
    for order_id in (night.order_id, meal.order_id):
        await end_one(db, order_id, at=NOON + timedelta(days=2))
    left = await db.execute(text("SELECT member_id, posted FROM balance WHERE unit = 1 ORDER BY 1"))
    assert [tuple(row) for row in left] == [(1, 1000), (2, 300)]
    await sound(db)


async def test_thirty_two_clients_sell_no_piece_twice(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        ids = await catalogue(db, scarves=10, others=31)

    async def client(member_id: int) -> list[OrderOutcome]:
        outcomes = []
        for key in (f"{member_id}-a", f"{member_id}-a", f"{member_id}-b"):
            async with engine.begin() as db:
                answer = await want(db, ids, "scarf", key, member_id=member_id)
            if answer.outcome is OrderOutcome.ORDERED and member_id % 4 == 0:
                async with engine.begin() as db:
                    await end_one(db, answer.order_id, at=NOON)
            if not answer.replayed:
                outcomes.append(answer.outcome)
        return outcomes

    answers = await asyncio.gather(*(client(member_id) for member_id in range(1, 33)))
    async with engine.connect() as db:
        left = await shelf(db, "scarf")
        states = await db.execute(
            text("SELECT state, count(*) FROM reward_order WHERE state IS NOT NULL GROUP BY 1")
        )
        stands = {row[0]: row[1] for row in states}
        await sound(db)
    assert left == 10 - stands["confirmed"]
    assert stands["confirmed"] == 10 or left > 0
    counted = Counter(outcome for one in answers for outcome in one)
    assert counted[OrderOutcome.ORDERED] == sum(stands.values())


async def test_what_a_till_has_restored_by_hand_does_not_come_back_twice(
    db: AsyncConnection,
) -> None:
    ids = await catalogue(db)
    answer = await want(db, ids, "scarf", "k")
    spent = await db.scalar(text("SELECT tx_id FROM reward_order"))
    facts: dict[str, Any] = {
        "business_id": ids["retail"], "member_id": 1, "redemption_tx": spent, "occurred_at": NOON,
        "business_date": DAY, "today": DAY, "now": NOON,
    }  # fmt: skip
    await restore(db, points=100, idempotency_key="a", **facts)
    other = await want(db, ids, "meal", "m")
    spent = await db.scalar(text("SELECT max(tx_id) FROM reward_order"))
    facts |= {"business_id": ids["dining"], "redemption_tx": spent}
    await restore(db, points=100, idempotency_key="b", **facts)
    for order_id in (answer.order_id, other.order_id):
        assert (await end_one(db, order_id, at=NOON)).state is OrderState.CANCELLED
    assert tuple((await db.execute(text(BALANCE))).one()) == (1000, 0)
    assert await shelf(db, "scarf") == 2
    await sound(db)
