"""What a sale earns, once; within the day's cap, whoever comes at once; and why."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.errors import Conflict, Malformed, NotFound, Rejected
from hub.ledger.verify import verify
from hub.points.clawback import clawback
from hub.points.earn import Earned, earn
from hub.points.explain import explain
from hub.points.sale import Sale
from hub.points.undo import Refunded
from hub.programme.bill import BillLine, BillTender
from hub.programme.policy_config import ActivationPolicyConfig, ExpiryPolicyConfig, UnitConfig
from tests.support.earning import START, open_shop, sale, yen
from tests.support.ledger import NOON, TODAY, give

FOOD = BillLine(id="f", kind="item", net_minor=10_000, category="food")
ROOM = BillLine(id="r", kind="room", net_minor=20_000)


async def sell(db: AsyncConnection, *sales: Sale, **more: Any) -> list[Earned]:
    return await earn(db, sales=sales, now=NOON, **more)


async def points(db: AsyncConnection, member_id: int = 1) -> int | None:
    found: int | None = await db.scalar(
        text("SELECT posted FROM balance WHERE member_id = :m AND unit = 1"), {"m": member_id}
    )
    return found


async def refund(
    db: AsyncConnection, tx_id: int, of: Refunded | None, key: str, **more: Any
) -> int:
    answer = await clawback(
        db,
        business_id=1,
        member_id=1,
        account_id=10,
        earn_tx=tx_id,
        refund=of,
        idempotency_key=key,
        occurred_at=NOON,
        business_date=TODAY,
        now=NOON,
        **more,
    )
    return answer.tx_id


async def test_the_same_sale_again_posts_nothing_and_hears_what_it_earned(
    db: AsyncConnection,
) -> None:
    await open_shop(db)
    sold = sale(10_000)
    [first] = await sell(db, sold)
    await open_shop(db, {}, {"effective_from": START + timedelta(days=1), "points_per_unit": "5"})
    [again] = await sell(db, sold)
    assert (first.points, again.points, again.tx_id) == (100, 100, None)
    assert await points(db) == 100


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("member_id", 2),
        ("occurred_at", NOON - timedelta(seconds=1)),
        ("currency", "JPY"),
        ("total_minor", 9_999),
    ],
)
async def test_a_key_used_for_another_sale_is_a_conflict_that_names_the_field(
    db: AsyncConnection, field: str, value: object
) -> None:
    await open_shop(db, exchange_rates=[yen("0.05")])
    sold = sale(10_000)
    await sell(db, sold)
    for lines in (sold.lines, ()):  # a bill that earns nothing is another bill too
        with pytest.raises(Conflict) as refused:
            await sell(db, replace(sold, lines=lines, **{field: value}))  # type: ignore[arg-type]
        assert refused.value.field == field
    assert await points(db) == 100


async def test_a_key_that_no_sale_used_is_a_conflict(db: AsyncConnection) -> None:
    await open_shop(db)
    earn_tx = await give(db, 1, 100, key="bought")
    await db.execute(
        text("""
          INSERT INTO earn_basis (member_id, tx_id, total_minor, currency, lines)
          VALUES (1, :tx, 1, 'CNY', '[]')"""),
        {"tx": earn_tx},
    )
    await refund(db, earn_tx, None, "taken")
    with pytest.raises(Conflict) as refused:
        await sell(db, sale(10_000, idempotency_key="taken"))
    assert refused.value.field == "kind"


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"occurred_at": NOON + timedelta(hours=24, seconds=1)}, "occurred_at"),
        ({"occurred_at": datetime.fromisoformat("1999-12-31T23:59:59Z")}, "occurred_at"),
        ({"occurred_at": NOON.replace(tzinfo=None)}, "occurred_at"),
        ({"currency": "JPY"}, "currency"),
        ({"currency": "ZZZ", "exchange_rate": Decimal(1)}, "currency"),
        ({"currency": "JPY", "exchange_rate": Decimal(-1)}, "exchange_rate"),
        ({"currency": "JPY", "exchange_rate": Decimal(10**11)}, "points"),
    ],
)
async def test_a_sale_that_nobody_means_is_refused_and_names_the_field(
    db: AsyncConnection, facts: dict[str, Any], field: str
) -> None:
    await open_shop(db)
    good = sale(10_000)
    with pytest.raises(Malformed) as refused:
        await sell(db, good, sale(10_000, business_date=TODAY, **facts))
    assert refused.value.field == field
    assert await points(db) is None, "nothing of the batch was posted"


async def test_a_till_may_be_a_day_ahead_but_not_older_than_the_rules(db: AsyncConnection) -> None:
    await open_shop(db)
    [ahead] = await sell(db, sale(10_000, occurred_at=NOON + timedelta(hours=24)))
    assert ahead.points == 100
    with pytest.raises(Rejected):
        await sell(db, sale(10_000, occurred_at=START - timedelta(days=1)))


async def test_a_bill_in_yen_earns_by_the_table_and_is_refunded_in_yen(db: AsyncConnection) -> None:
    later = yen("0.06", since=date(2026, 10, 16))
    await open_shop(db, exchange_rates=[yen("0.05"), later])
    [earned] = await sell(db, sale(2_000, 1_000, currency="JPY"))
    assert earned.points == 150
    assert earned.tx_id is not None
    half = Refunded(nets={"1": 1_000}, unallocated_minor=0, amount_minor=1_000)
    with pytest.raises(Malformed) as refused:
        await refund(db, earned.tx_id, half, "r-0", currency="CNY")
    assert refused.value.field == "currency"
    await refund(db, earned.tx_id, half, "r-1", currency="JPY")
    assert await points(db) == 100
    said = await explain(db, member_id=1, tx_id=earned.tx_id)
    assert said.sentences() == [
        "3000 JPY of the bill earns.",
        "1 JPY counts as 0.05 CNY: in the programme's table since 2020-01-01.",
        "Lines 0, 1: 1 point and 1 qualifying point per CNY (the rule's own rate).",
        "Together 150 points, rounded down once to 150.",
    ]


async def test_a_tier_is_asked_for_once_and_only_where_a_rule_looks_at_it(
    db: AsyncConnection,
) -> None:
    asked: list[Any] = []

    async def tiers_at(db: AsyncConnection, moments: Any) -> dict[tuple[int, datetime], str]:
        asked.append(list(moments))
        return {(1, NOON): "gold"}

    gold = {"tiers": ["gold"], "factor": "2", "reason": "gold members"}
    since = START + timedelta(days=1)
    await open_shop(db, {}, {"effective_from": since, "multipliers": [gold]})
    early = sale(10_000, occurred_at=START)
    sales = [early, sale(10_000), sale(10_000, member_id=2)]
    earned = await sell(db, *sales, tiers_at=tiers_at)
    assert [one.points for one in earned] == [100, 200, 100]
    assert asked == [[(1, NOON), (2, NOON)]]
    [nobody] = await sell(db, sale(10_000, occurred_at=START), tiers_at=tiers_at)
    assert (nobody.points, len(asked)) == (100, 1)


async def test_a_rule_that_comes_later_changes_nothing_of_what_was_earned(
    db: AsyncConnection,
) -> None:
    await open_shop(db, {"rates": [{"categories": ["food"], "points_per_unit": "2"}]})
    [earned] = await sell(db, sale(FOOD, ROOM))
    assert earned.tx_id is not None
    before = await explain(db, member_id=1, tx_id=earned.tx_id)
    await open_shop(
        db,
        {"rates": [{"categories": ["food"], "points_per_unit": "2"}]},
        {"effective_from": NOON - timedelta(days=1), "points_per_unit": "9"},
    )
    assert await explain(db, member_id=1, tx_id=earned.tx_id) == before
    [after] = await sell(db, sale(FOOD, ROOM))
    assert (earned.points, after.points) == (400, 2700)
    await refund(db, earned.tx_id, None, "all of it")
    assert await points(db) == 2700
    assert await verify(db) == []


async def test_an_earn_and_its_refunds_say_why(db: AsyncConnection) -> None:
    await open_shop(
        db,
        {
            "rates": [{"categories": ["food"], "points_per_unit": "2.5"}],
            "multipliers": [{"line_kinds": ["room"], "factor": "1.1", "reason": "room week"}],
            "cap_per_event": 400,
        },
    )
    [earned] = await sell(db, sale(FOOD, ROOM, total_minor=31_800))
    assert earned.tx_id is not None
    said = await explain(db, member_id=1, tx_id=earned.tx_id)
    assert said.rule is not None
    assert said.rule.effective_from == START
    assert (said.points, said.qualifying, said.basis.base_minor) == (400, 300, 30_000)
    assert said.sentences() == [
        "300.00 CNY of the bill earns.",
        "Line f: 2.5 points and 1 qualifying point per CNY (category food).",
        "Line r: 1 point and 1 qualifying point per CNY (the rule's own rate).",
        "Line r: 1.1 times the points (room week).",
        "Together 470 points, rounded down once to 470.",
        "A bill earns at most 400 points.",
    ]
    food = Refunded(nets={"f": 5_000}, unallocated_minor=0, amount_minor=5_000)
    await refund(db, earned.tx_id, food, "r-1")
    last = await refund(db, earned.tx_id, food, "r-2")
    assert (await explain(db, member_id=1, tx_id=last)).sentences()[6:] == [
        f"A refund gave back 50.00 of 318.00 CNY of the sale {earned.tx_id}, which had earned 400 "
        "points and 300 qualifying points.",
        "Earlier refunds had made 106 and 50 of them due.",
        "It made 107 points and 50 qualifying points due, line by line in proportion to what all "
        "refunds together gave back.",
    ]


async def test_a_plain_earn_says_why_and_what_was_paid_otherwise(db: AsyncConnection) -> None:
    await open_shop(db, {"points_per_unit": "1.5"})
    paid = (BillTender(kind="giftcard", amount_minor=2_500),)
    [earned] = await sell(db, sale(9_990, tenders=paid))
    assert earned.tx_id is not None
    assert await db.scalar(text("SELECT steps FROM earn_basis")) is None
    assert (await explain(db, member_id=1, tx_id=earned.tx_id)).sentences() == [
        "74.90 CNY of the bill earns, 25.00 CNY having been paid by what does not.",
        "Every line: 1.5 points and 1 qualifying point per CNY (the rule's own rate).",
        "Together 112.35 points, rounded down once to 112.",
    ]
    with pytest.raises(NotFound):
        await explain(db, member_id=2, tx_id=earned.tx_id)


async def test_a_days_cap_is_shared_by_its_sales_and_a_replay_counts_once(
    db: AsyncConnection,
) -> None:
    await open_shop(db, {"cap_per_day": 250})
    first, second = sale(10_000), sale(20_000, occurred_at=NOON + timedelta(hours=1))
    third = sale(5_000, occurred_at=NOON + timedelta(hours=2))
    tomorrow = sale(10_000, business_date=TODAY + timedelta(days=1))
    earned = await sell(db, second, first, third, tomorrow)
    assert [one.points for one in earned] == [150, 100, 0, 100]
    assert earned[2].qualifying == 50, "a cap is for what can be spent"
    assert [one.points for one in await sell(db, first, second)] == [100, 150]
    caps = (await db.execute(text("SELECT points FROM earn_cap ORDER BY business_date"))).scalars()
    assert list(caps) == [250, 100]
    assert earned[0].tx_id is not None
    said = await explain(db, member_id=1, tx_id=earned[0].tx_id)
    assert said.sentences()[-2:] == [
        "Together 200 points, rounded down once to 200.",
        "A day earns at most 250 points: 150 of them were left.",
    ]
    await refund(db, earned[0].tx_id, None, "all")
    [full] = await sell(db, sale(10_000))
    assert full.points == 0, "a refund gives no room back"
    assert await verify(db) == []


async def test_sixteen_batches_at_once_never_exceed_the_days_cap(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await open_shop(db, {"cap_per_day": 1000})
    # Each sale of two members comes twice, in batches that name the members in either order.
    pairs = [(sale(20_000 + n), sale(20_000 + n, member_id=2)) for n in range(8)]
    batches = [*pairs, *(pair[::-1] for pair in pairs)]

    async def post(batch: Sequence[Sale]) -> None:
        async with engine.begin() as db:
            await sell(db, *batch)

    await asyncio.gather(*map(post, batches))
    async with engine.connect() as db:
        assert (await points(db), await points(db, 2)) == (1000, 1000)
        assert list(await db.scalars(text("SELECT points FROM earn_cap"))) == [1000, 1000]
        assert await verify(db) == []


async def test_who_has_no_cap_asks_nothing_more_of_the_database(db: AsyncConnection) -> None:
    await open_shop(db)
    assert await statements(db, sale(10_000)) == 4, "rules, policies, the posting, its basis"
    sold = sale(10_000)
    await sell(db, sold)
    assert await statements(db, sold) == 4, "a replay is compared instead"


async def statements(db: AsyncConnection, sold: Sale) -> int:
    heard: list[str] = []
    listening = (db.sync_connection, "before_cursor_execute", lambda *facts: heard.append(facts[2]))
    event.listen(*listening)
    await sell(db, sold)
    event.remove(*listening)
    return len(heard)


STARS = UnitConfig(code="stars", name="Stars")


async def test_points_are_of_the_rules_unit_paid_by_its_funder_and_active_by_policy(
    db: AsyncConnection,
) -> None:
    wait = ActivationPolicyConfig(business="shop", effective_from=START, mode="after_days", days=7)
    idle = ExpiryPolicyConfig(effective_from=START, unit="stars", mode="inactivity", idle_months=6)
    await open_shop(
        db,
        {"unit": "stars", "funder": "shop"},
        units=(STARS,),
        activation_policies=(wait,),
        expiry_policies=(ExpiryPolicyConfig(effective_from=START, months=12), idle),
    )
    await sell(db, sale(10_000))
    lot = (await db.execute(text("SELECT * FROM lot"))).one()
    assert (lot.unit, lot.earned, lot.funder_id, lot.idle_months) == (3, 100, 1, 6)
    assert lot.activates_at == datetime.fromisoformat("2026-10-22T00:00+08:00")
    assert await db.scalar(text("SELECT unit FROM earn_basis")) == 3
    assert await verify(db) == []


async def test_what_is_settled_at_the_check_out_does_not_wait_for_it(db: AsyncConnection) -> None:
    wait = ActivationPolicyConfig(business="shop", effective_from=START, mode="on_checkout")
    await open_shop(db, activation_policies=(wait,))
    await sell(db, sale(10_000), sale(20_000, checked_out=True))
    lots = await db.execute(text("SELECT earned, pending FROM lot ORDER BY earned"))
    assert [tuple(lot) for lot in lots] == [(100, True), (200, False)]


async def test_two_caps_of_two_units_do_not_meet(db: AsyncConnection) -> None:
    later = {"effective_from": NOON, "cap_per_day": 150, "unit": "stars"}
    await open_shop(db, {"cap_per_day": 150}, later, units=(STARS,))
    early = NOON - timedelta(seconds=1)
    sales = [sale(10_000, occurred_at=at) for at in (early, early, NOON, NOON)]
    assert [one.points for one in await sell(db, *sales)] == [100, 50, 100, 50]
