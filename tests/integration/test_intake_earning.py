"""What a till says of money, places and people reaches the rule; what is wrong can be mended."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.sandbox.accounts import connections
from hub.benefits.tiers.standings import tiers_at
from hub.clock import now
from hub.entrypoints.commands.programme import apply_group
from hub.entrypoints.sample import connected_group
from hub.intake.replay import replay
from hub.programme.apply import EarningRuleConfig
from hub.programme.rate_config import ExchangeRateConfig
from tests.integration.test_intake import DEAD, NOWHERE, lots, sent
from tests.integration.test_intake_absurd import bill, refund
from tests.support.earning import yen
from tests.support.ledger import NOON
from tests.support.sandbox import Hub

AUTUMN = datetime(2026, 10, 1, tzinfo=UTC)
YEN = bill(currency="JPY", total_price="1000")


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str) -> Hub:
    made = Hub(engine, database_url)
    await made.configure(NOWHERE)
    return made


async def add(hub: Hub, *, exchange_rates: Sequence[ExchangeRateConfig] = (), **rule: Any) -> None:
    """Add exchange rates to the sample group and, if given, a version of the shop's rule."""
    group = connected_group(connections(NOWHERE))
    versions = list(group.earning_rules)
    if rule:
        version = {**versions[0].model_dump(), "effective_from": AUTUMN, **rule}
        versions.append(EarningRuleConfig.model_validate(version))
    more = {"exchange_rates": tuple(exchange_rates), "earning_rules": tuple(versions)}
    await apply_group(hub.database_url, hub.keyring, group.model_copy(update=more))


async def arrive(hub: Hub, body: bytes, topic: str = "orders/paid") -> None:
    await hub.accept(sent(body, topic))
    await hub.work()


async def states(hub: Hub) -> list[tuple[object, ...]]:
    return await hub.rows("SELECT state, reason_field FROM delivery ORDER BY delivery_id")


async def test_a_bill_in_another_currency_earns_once_there_is_a_rate(hub: Hub) -> None:
    await arrive(hub, YEN)
    assert await states(hub) == [("dead", "currency")]
    [(reason,)] = await hub.rows("SELECT reason FROM delivery")
    assert "exchange_rates" in str(reason)
    await add(hub, exchange_rates=[yen("0.05")])
    async with hub.engine.begin() as db:
        assert await replay(db, now=now(), search=DEAD) == 1
    await hub.work()
    assert await states(hub) == [("done", None)]
    assert await lots(hub) == [(50, 50)]


@pytest.mark.parametrize("refund_first", [False, True])
async def test_a_refund_in_another_currency_is_a_dead_letter_and_its_sale_stands(
    hub: Hub, refund_first: bool
) -> None:
    """The shop's dialect reads refunds in the shop's own currency."""
    await add(hub, exchange_rates=[yen("0.05")])
    paid_back = json.dumps(refund("10.00")).encode()
    deliveries = [(YEN, "orders/paid"), (paid_back, "refunds/create")]
    for body, topic in reversed(deliveries) if refund_first else deliveries:
        await arrive(hub, body, topic)
    found = await states(hub)
    assert sorted(map(str, found)) == sorted(map(str, [("done", None), ("dead", "currency")]))
    assert await lots(hub) == [(50, 50)]


async def test_the_outlet_and_the_tier_of_that_day_reach_the_rule(hub: Hub) -> None:
    await arrive(hub, bill(id=1))
    async with hub.engine.begin() as db:
        await db.execute(
            text("""
              INSERT INTO member_tier (member_id, since, until, qualifying, step, tier_id,
                ladder_id, reason)
              SELECT member_id, CAST(:since AS timestamptz), :until, 0, 10, tier_id, ladder_id,
                'reached'
              FROM member, tier WHERE code = 'silver'"""),
            {"since": AUTUMN, "until": NOON},
        )
    await add(
        hub,
        rates=[{"outlets": ["pudong"], "points_per_unit": "3"}],
        multipliers=[{"tiers": ["silver"], "factor": "2", "reason": "silver members"}],
    )
    held = (NOON - timedelta(seconds=1)).isoformat()
    await arrive(hub, bill(id=2, created_at=held))
    await arrive(hub, bill(id=3, created_at=held, location_id="pudong"))
    await arrive(hub, bill(id=4, created_at=NOON.isoformat()))
    assert await lots(hub) == [(10, 10), (20, 20), (60, 60), (10, 10)]


async def test_a_tier_is_held_from_its_first_instant_to_before_its_last(hub: Hub) -> None:
    await arrive(hub, bill())
    async with hub.engine.begin() as db:
        [member_id] = await db.scalars(text("SELECT member_id FROM member"))
        await db.execute(
            text("""
              INSERT INTO member_tier (member_id, since, until, qualifying, step, tier_id,
                ladder_id, reason)
              SELECT :member, since, until, 0, step, tier_id, ladder_id, 'reached'
              FROM tier JOIN (VALUES
                ('silver', 10, CAST(:a AS timestamptz), CAST(:b AS timestamptz)),
                ('gold', 11, :b, :b), ('gold', 12, :b, :c)) AS v (code, step, since, until)
                USING (code)"""),
            {"member": member_id, "a": AUTUMN, "b": NOON, "c": NOON + timedelta(days=1)},
        )
        second = timedelta(seconds=1)
        asked = [AUTUMN - second, AUTUMN, NOON - second, NOON, NOON + timedelta(days=1)]
        found = await tiers_at(db, [(member_id, at) for at in asked])
    assert [found.get((member_id, at)) for at in asked] == [None, "silver", "silver", "gold", None]
