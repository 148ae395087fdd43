"""Plans that another business sells: the money is their seller's, less a commission, and back."""

import os
import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.campaigns.grant_to_many import grant_to_many
from hub.benefits.campaigns.open_campaign import open_campaign
from hub.benefits.entitlements.cancel_use import cancel_use
from hub.benefits.memberships.note_paid import note_paid
from hub.benefits.memberships.note_refunded import note_refunded
from hub.benefits.memberships.plans import PlanConfig, configure_plans
from hub.benefits.use import use
from hub.programme.agree import AgreementConfig
from hub.programme.queries import businesses
from hub.settlement.begin_close import begin_close
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.settlement.place import place
from hub.settlement.verify import CHECKS, check
from tests.support.benefits import START, late_checkout, make_ladder
from tests.support.settlement import agreement, make_group, noon, statement_csv

EXAMPLES = int(os.environ.get("HUB_GIVING_EXAMPLES", "10"))
JULY = date(2026, 7, 1)
DAY = timedelta(days=1)


async def group(db: AsyncConnection) -> dict[str, int]:
    """The hotel's plan, which the restaurant sells for 5%, and the shop for nothing."""
    ids = await make_ladder(db, benefits=[late_checkout(quota=0)])
    facts = {
        "code": "club", "effective_from": START, "name": "Club", "name_zh": "会员",
        "seller": "hotel", "price_minor": 10_000, "currency": "CNY", "period": "month",
        "sold_at": [{"business": "dining", "commission_percent": "5"}, {"business": "retail"}],
    }  # fmt: skip
    await configure_plans(db, plans=[PlanConfig.model_validate(facts)])
    return ids


async def pay(db: AsyncConnection, number: str, taken_by: int | None, day: date = JULY) -> None:
    await note_paid(
        db, member_id=1, plan_code="club", amount_minor=10_000, currency="CNY", source="fact",
        source_id=number, paid_at=noon(day), day=day, now=noon(day), taken_by=taken_by,
    )  # fmt: skip


async def refund(
    db: AsyncConnection, of: str, amount: int, taken_by: int | None, *, day: date, key: str
) -> None:
    await note_refunded(
        db, payment=of, amount_minor=amount, currency="CNY", source="fact", source_id=key,
        refunded_at=noon(day), day=day, now=noon(day), taken_by=taken_by,
    )  # fmt: skip


async def lines(db: AsyncConnection, period_id: int) -> list[tuple[Any, ...]]:
    rows = await db.execute(
        text("""
          SELECT debtor_id, creditor_id, kind, amount, tax_code FROM obligation
          WHERE period_id = :id ORDER BY tx_id, kind"""),
        {"id": period_id},
    )
    return [tuple(row) for row in rows]


async def closed(db: AsyncConnection, code: str, on: date) -> int:
    period = await open_period(db, code=code, now=noon(on))
    await close(db, period_id=period.period_id, now=noon(on))
    return period.period_id


async def test_who_took_the_money_owes_it_less_a_commission(db: AsyncConnection) -> None:
    ids = await group(db)
    hotel, dining, retail = ids["hotel"], ids["dining"], ids["retail"]
    for number, taken_by in (("a", dining), ("b", retail), ("c", hotel), ("d", None)):
        await pay(db, number, taken_by)
    await refund(db, "a", 3_000, dining, day=JULY + DAY, key="r1")
    await refund(db, "b", 1_000, hotel, day=JULY + DAY, key="r2")  # out of its own pocket
    await refund(
        db, "c", 500, dining, day=JULY + DAY, key="r3"
    )  # for the hotel: it has no part in it
    july = await closed(db, "2026-07", date(2026, 8, 1))
    assert await lines(db, july) == [
        (dining, hotel, 11, Decimal(100), None), (hotel, dining, 12, Decimal(5), None),
        (retail, hotel, 11, Decimal(100), None),
        (dining, hotel, 11, Decimal(-30), None), (hotel, dining, 12, Decimal("-1.5"), None),
        (dining, hotel, 11, Decimal(-5), None),
    ]  # fmt: skip
    told = (await statement_csv(db, period_id=july, business_id=hotel)).decode()
    assert "net,,,CNY,161.50" in told
    assert ",plan," in told
    assert ",commission," in told
    # More than the rest cannot come back, and what is late is in the next period.
    await refund(db, "a", 9_000, dining, day=JULY + 9 * DAY, key="r4")
    august = await closed(db, "2026-08", date(2026, 9, 1))
    assert await lines(db, august) == [
        (dining, hotel, 11, Decimal(-70), None), (hotel, dining, 12, Decimal("-3.5"), None),
    ]  # fmt: skip
    assert [await check(db, name) for name in CHECKS] == [None] * len(CHECKS)


async def test_what_is_given_back_is_taxed_as_it_was(db: AsyncConnection) -> None:
    ids = await group(db)
    said = agreement("hotel", "dining", "0.01").model_dump()
    for since, rate in ((date(2026, 1, 1), "0.06"), (date(2026, 7, 10), "0.13")):
        tax = {"kind": "commission", "code": f"VAT{rate}", "rate": rate}
        facts = {**said, "effective_from": since, "taxes": [tax]}
        await make_group(db, [AgreementConfig.model_validate(facts)])
    await pay(db, "a", ids["dining"])
    await refund(db, "a", 10_000, ids["dining"], day=JULY + 20 * DAY, key="r")
    july = await closed(db, "2026-07", date(2026, 8, 1))
    assert [line[3:] for line in await lines(db, july)] == [
        (Decimal(100), None), (Decimal(5), "VAT0.06"),
        (Decimal(-100), None), (Decimal(-5), "VAT0.06"),
    ]  # fmt: skip


def test_a_plan_is_sold_at_others_than_its_seller() -> None:
    facts = {
        "code": "club", "effective_from": START, "name": "Club", "name_zh": "会员",
        "price_minor": 1, "currency": "CNY", "period": "month",
        "sold_at": [{"business": "dining"}],
    }  # fmt: skip
    for seller in (None, "dining"):
        with pytest.raises(ValueError, match="sold_at"):
            PlanConfig.model_validate({**facts, "seller": seller})


async def test_what_a_campaign_granted_is_borne_by_its_funder(db: AsyncConnection) -> None:
    ids = await group(db)
    hotel, dining, retail = ids["hotel"], ids["dining"], ids["retail"]
    campaign = await open_campaign(
        db, code="summer", benefit_code="late-checkout", quantity=2, starts_on=JULY,
        ends_on=JULY + 90 * DAY, reason="summer", actor="ann", now=noon(JULY), funder="dining",
    )  # fmt: skip
    await grant_to_many(db, campaign=campaign, member_ids=[1], actor="ann", now=noon(JULY))
    uses = [
        await use(
            db, member_id=1, benefit_code="late-checkout", business_id=hotel,
            idempotency_key=key, now=noon(JULY),
        )
        for key in ("u1", "u2")
    ]  # fmt: skip
    july = await closed(db, "2026-07", date(2026, 8, 1))
    # The shop funds the benefit, and the restaurant what the campaign granted of it.
    price = Decimal("88.00")
    assert sorted(line[:4] for line in await lines(db, july)) == sorted(
        [(retail, hotel, 3, price), (dining, retail, 3, price)] * 2
    )
    await cancel_use(
        db, business_id=hotel, use_id=uses[0].use_id, idempotency_key="c",
        now=noon(date(2026, 8, 5)),
    )  # fmt: skip
    august = await closed(db, "2026-08", date(2026, 9, 1))
    assert sorted(line[:4] for line in await lines(db, august)) == sorted(
        [(retail, hotel, 3, -price), (dining, retail, 3, -price)]
    )
    assert [await check(db, name) for name in CHECKS] == [None] * len(CHECKS)


@settings(
    max_examples=EXAMPLES, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    refunds=st.lists(
        st.tuples(st.integers(1, 9_000), st.sampled_from(["dining", "hotel", "retail"])), max_size=4
    ),
    seed=st.integers(0, 99),
)
async def test_in_any_order_no_more_comes_back_than_was_owed(
    db: AsyncConnection, refunds: list[tuple[int, str]], seed: int
) -> None:
    """Lines are placed at any time, and again, as closes do it in slices."""
    by_chance = random.Random(seed)
    if not await db.scalar(text("SELECT EXISTS (SELECT FROM membership_plan)")):
        await group(db)
    ids = {one.code: one.business_id for one in await businesses(db)}
    async with db.begin_nested() as attempt:
        period = await open_period(db, code="2026-07", now=noon(JULY))
        period = await begin_close(db, period_id=period.period_id, now=noon(JULY))
        told: list[tuple[str, int, str]] = [("paid", 0, "dining")]
        told += [(f"r{n}", amount, by) for n, (amount, by) in enumerate(refunds)]
        known: list[tuple[int, str]] = []
        for key, amount, by in by_chance.sample([*told, *told], 2 * len(told)):
            if key == "paid":
                await pay(db, "a", ids[by])
            else:
                if not await db.scalar(
                    text("SELECT EXISTS (SELECT FROM membership_fact WHERE source_id = :k)"),
                    {"k": key},
                ):
                    known.append((amount, by))
                await refund(db, "a", amount, ids[by], day=JULY + DAY, key=key)
            if by_chance.random() < 0.3:
                await place(db, period=period, from_date=None, to_date=JULY + 30 * DAY)
        await place(db, period=period, from_date=None, to_date=JULY + 30 * DAY)
        owed = dict.fromkeys(ids, 0)
        owed["dining"], left, kept = 10_000, 10_000, 10_000
        for amount, by in known:
            part = min(amount, left)
            left -= part
            if by != "hotel":
                owed[by] -= part
            kept -= part if by == "dining" else 0
        sums = await db.execute(
            text("""
              SELECT b.code, o.kind, sum(CASE o.kind WHEN 11 THEN amount ELSE -amount END) AS n
              FROM obligation o JOIN business b ON b.business_id
                = CASE o.kind WHEN 11 THEN o.debtor_id ELSE o.creditor_id END
              GROUP BY 1, 2""")
        )
        found = {(code, kind): amount for code, kind, amount in sums}
        for by in ("dining", "retail"):
            assert found.get((by, 11), 0) == Decimal(owed[by]) / 100
        assert -found.get(("dining", 12), 0) == Decimal(kept) / 100 * Decimal("0.05")
        await attempt.rollback()
