"""What is bought counts for tiers when it is bought, and no longer when it is given back."""

import json
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.configure import configure
from hub.benefits.tiers.count_refund import count_refund
from hub.benefits.tiers.count_sales import CountedSale, count_sales
from hub.benefits.tiers.promote import promote
from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from tests.integration.test_intake import NOWHERE, sent
from tests.integration.test_intake_absurd import bill, refund
from tests.integration.test_tiers_periods import history, ladder, rung
from tests.support.benefits import SPRING, ZONE, make_ladder
from tests.support.sandbox import Hub

SUM = """
SELECT coalesce(sum(spend_minor), 0)::bigint, coalesce(sum(bills), 0), coalesce(sum(nights), 0)
FROM qualifying_activity WHERE account_id = :a"""


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str) -> Hub:
    made = Hub(engine, database_url)
    await made.configure(NOWHERE)
    return made


async def town(db: AsyncConnection) -> None:
    """Two members with an account each, at the shop and at the hotel."""
    await make_ladder(db)
    await db.execute(
        text("""
          WITH made AS (
            INSERT INTO account (account_id, business_id, external_id, created_at)
            OVERRIDING SYSTEM VALUE
            SELECT n, business_id, 'c-' || n, '2026-01-01Z' FROM (VALUES (1, 'retail'),
              (2, 'hotel')) AS v (n, code) JOIN business USING (code)
            RETURNING account_id
          )
          INSERT INTO account_link (account_id, member_id, method, valid)
          SELECT account_id, account_id, 'birth', tstzrange('2026-01-01Z', NULL) FROM made""")
    )


def sale(key: str, spend: int, at: datetime = SPRING, **facts: object) -> CountedSale:
    known: dict[str, object] = {"account_id": 1, "business_id": 1, "currency": "CNY"}
    known |= {"paid_minor": spend, **facts}
    return CountedSale(key=key, spend_minor=spend, occurred_at=at, business_date=at.date(), **known)  # type: ignore[arg-type]


async def back(db: AsyncConnection, key: str, of: str, amount: int | None) -> None:
    await count_refund(
        db, account_id=1, sale=of, key=key, refunded_minor=amount, occurred_at=SPRING
    )


async def left(db: AsyncConnection, account_id: int = 1) -> tuple[int, ...]:
    return tuple((await db.execute(text(SUM), {"a": account_id})).one())


async def test_refunds_take_the_same_of_a_bill_in_every_order(db: AsyncConnection) -> None:
    await town(db)
    parts = [33, 33, 34, 900]
    for n, order in enumerate(permutations(parts, 4)):
        key = f"s{n}"
        await count_sales(db, sales=[sale(key, 777, paid_minor=1000)])
        taken = 0
        for i, amount in enumerate(order):
            await back(db, f"{key}r{i}", key, amount)
            await back(db, f"{key}r{i}", key, amount)
            taken = min(1000, taken + amount)
            assert (await left(db))[:2] == (777 - 777 * taken // 1000, 0 if taken == 1000 else 1)
    await count_sales(db, sales=[sale("free", 0)])
    await back(db, "void", "free", None)
    assert await left(db) == (0, 0, 0)


async def test_a_stay_has_its_nights_once_and_until_its_last_bill_is_refunded(
    db: AsyncConnection,
) -> None:
    await town(db)
    stay = {"stay": "1:r7", "nights": 3}
    await count_sales(db, sales=[sale("a", 100, **stay), sale("b", 50, **stay)])
    await count_sales(db, sales=[sale("c", 10, **stay), sale("a", 100, **stay)])
    assert await left(db) == (160, 3, 3)
    for key, nights in (("a", 3), ("b", 3), ("c", 0)):
        await back(db, f"{key}-back", key, None)
        assert (await left(db))[2] == nights


async def test_any_or_all_of_what_is_asked_reaches_a_tier(db: AsyncConnection) -> None:
    await town(db)
    await configure(
        db,
        ladders=[ladder(currency="CNY")],
        tiers=[
            rung("either", 50, need="any", reach={"spend_minor": 500_00, "visits": 3}),
            rung("both", 60, need="all", reach={"spend_minor": 500_00, "visits": 4, "nights": 2}),
        ],
        benefits=[],
    )

    async def then() -> str:
        await promote(db, member_ids=[1], now=SPRING + timedelta(days=9), time_zone=ZONE)
        return (await history(db))[-1].split()[0]

    day = timedelta(days=1)
    await count_sales(db, sales=[sale("a", 1), sale("b", 1), sale("c", 1, SPRING + day)])
    assert await then() == "iron"
    await count_sales(db, sales=[sale("d", 1, SPRING + 2 * day)])
    assert await then() == "either"
    await back(db, "d-", "d", 1)
    assert await then() == "iron"
    await count_sales(db, sales=[sale("e", 900_00, currency="JPY"), sale("f", 499_97)])
    assert await then() == "either"
    await count_sales(db, sales=[sale("g", 1, SPRING + 3 * day, stay="1:x", nights=2),
                                 sale("h", 1, SPRING + 4 * day)])  # fmt: skip
    assert await then() == "both"


async def test_what_counted_of_accounts_goes_along_with_them(db: AsyncConnection) -> None:
    await town(db)
    tiers = [rung("spender", 50, reach={"spend_minor": 100})]
    await configure(db, ladders=[ladder(currency="CNY")], tiers=tiers, benefits=[])
    await count_sales(db, sales=[sale("a", 60), sale("b", 60, account_id=2, business_id=2)])
    await promote(db, member_ids=[1, 2], now=SPRING, time_zone=ZONE)

    later = SPRING + timedelta(days=1)
    await merge_members(db, member_ids=[1, 2], method="staff", actor="mei", now=later)
    assert (await history(db))[-1] == "spender reached to 2027-12-31"
    await split_members(
        db, member_id=1, account_ids=[2], actor="mei", now=later + timedelta(days=1), reason="two"
    )
    assert [(await history(db, n))[-1].split()[0] for n in (1, 2)] == ["iron", "iron"]


@pytest.mark.parametrize("refund_first", [False, True])
async def test_a_bill_from_a_till_counts_and_its_refund_takes_it_again(
    hub: Hub, refund_first: bool
) -> None:
    sold = (bill(total_price="2500.00"), "orders/paid")
    given_back = (json.dumps(refund("1400.00")).encode(), "refunds/create")

    bodies = [sold, given_back]
    for body, topic in reversed(bodies) if refund_first else bodies:
        await hub.accept(sent(body, topic))
        await hub.work()
    rows = await hub.rows("SELECT spend_minor, bills FROM qualifying_activity ORDER BY 1 DESC")
    assert rows == [(2500_00, 1), (-1400_00, 0)]
    tiers = await hub.rows("SELECT code FROM member_tier JOIN tier USING (tier_id) ORDER BY step")
    assert tiers == ([("bronze",)] if refund_first else [("silver",), ("bronze",)])
