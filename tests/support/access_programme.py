"""How the group's programme is set up: of every rule there is one."""

import base64
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hub.benefits.configure import configure
from hub.benefits.tiers.configure import LadderConfig, TierConfig
from hub.clock import now
from hub.egress.note import note
from hub.egress.subscribe import SubscriptionConfig, subscribe
from hub.intake.connections import ConnectionConfig, connect
from hub.points.clawback import clawback
from hub.points.undo import Refunded
from hub.programme.apply import EarningRuleConfig, apply
from hub.programme.policy_config import ExpiryPolicyConfig
from tests.integration.api_kit import HOTEL, PROGRAMME, STAFF, START
from tests.support.access_world import World

LATER = datetime(2021, 1, 1, tzinfo=UTC)


async def configure_programme(world: World) -> None:
    """Have rates, multipliers and caps, ways to expire, and a ladder of the hotel's own."""
    rules = [
        EarningRuleConfig.model_validate({
            "business": business, "effective_from": LATER, "points_per_unit": Decimal(1),
            "qualifying_per_unit": Decimal(1), "cost_per_point": Decimal("0.01"),
            "cap_per_event": 9000, "cap_per_day": 90000,
            "rates": [{"line_kinds": ["package"], "points_per_unit": Decimal(2),
                       "qualifying_per_unit": Decimal(1)}],
            "multipliers": [{"factor": Decimal(3), "reason": "a good year"}],
        })
        for business in ("hotel", "shop")
    ]  # fmt: skip
    ways = [
        {"mode": "clear_out", "clear_month": 3, "clear_day": 31, "years_after": 1,
         "effective_from": datetime(2031, 1, 1, tzinfo=UTC)},
        {"mode": "inactivity", "idle_months": 18, "exempt_tiers": ["gold"], "unit": "points",
         "effective_from": datetime(2032, 1, 1, tzinfo=UTC)},
    ]  # fmt: skip
    expiry = [*PROGRAMME.expiry_policies, *map(ExpiryPolicyConfig.model_validate, ways)]
    config = PROGRAMME.model_copy(
        update={"earning_rules": [*PROGRAMME.earning_rules, *rules], "expiry_policies": expiry}
    )
    facts: dict[str, Any] = {"effective_from": START, "name": "n", "name_zh": "n"}
    ladder = {"code": "stay", "business": "hotel", "currency": "CNY", **facts}
    tiers = [
        {"code": "platinum", "rank": 9, "threshold": 50_000},
        {"code": "guest", "ladder": "stay", "rank": 0},
        {"code": "regular", "ladder": "stay", "rank": 1, "reach": {"visits": 30},
         "life": {"spend_minor": 10**9}},
    ]  # fmt: skip
    async with world.api.engine.begin() as db:
        await apply(db, config=config)
        await configure(
            db, ladders=[LadderConfig.model_validate(ladder)], benefits=[],
            tiers=[TierConfig.model_validate({**facts, **tier}) for tier in tiers],
        )  # fmt: skip


async def subscribe_to_events(world: World) -> None:
    """Have the hotel told what happens to its customers from now on."""
    secret = f"whsec_{base64.b64encode(bytes(32)).decode()}"
    config = SubscriptionConfig(
        code="canary-events", business="hotel", url="https://canary.example/", secrets=(secret,)
    )
    async with world.api.engine.begin() as db:
        await subscribe(db, config=config, keyring=world.api.keyring)


async def be_told_of_events(world: World) -> None:
    """Give up the first call, which nobody answered, and have it made again."""
    async with world.api.engine.begin() as db:
        await note(db, now=now())
    await world.rows("""
      UPDATE event_delivery SET state = 'dead', attempts = 24, error = 'no answer: ConnectError',
        tried_at = now(), ended_at = now(), status = 503
      WHERE event_delivery_id = (SELECT max(event_delivery_id) FROM event_delivery)""")
    dead = "{ webhookDeliveries(filter: { states: [DEAD] }) { nodes { number } } }"
    [one] = (await world.api.data(dead, HOTEL))["webhookDeliveries"]["nodes"]
    await world.act("redeliverWebhooks", HOTEL, deliveries=[one["number"]])
    await world.rows(
        """
      UPDATE event_delivery SET state = 'dead', ended_at = now(), error = 'answered 503'
      WHERE event_delivery_id = (SELECT max(event_delivery_id) FROM event_delivery)""",
        "UPDATE subscription SET active = false, stopped_because = 'its receiver answered 410'",
    )
    await world.ask("redeliverWebhooks", HOTEL, subscription="canary-events")


async def tell_nonsense(world: World) -> None:
    """Have the hotel's system tell what cannot be worked on, again and again."""
    await world.rows(
        """
      INSERT INTO connection (business_id, code, connector, settings)
      VALUES (2, 'canary-pms', 'ohip', 'x')""",
        """
      INSERT INTO delivery (connection_id, topic, body, body_sha256, received_at, state)
      SELECT connection_id, 'canary', 'x', 'x', now(), 'pending' FROM connection""",
    )
    await world.rows("""
      INSERT INTO pull_stream (connection_id, stream, cursor, last_error, since, next_at, began_at,
        ended_at)
      SELECT connection_id, 'reservations', 'canary', 'canary', now(), now(), now(), now()
      FROM connection""")
    dead = """UPDATE delivery SET state = 'dead', finished_at = now(), reason_code = 'malformed',
      reason = 'canary', reason_field = 'canary.total'"""
    await world.rows(dead)
    seen = "{ deliveries { nodes { number } } }"
    [one] = (await world.api.data(seen, HOTEL))["deliveries"]["nodes"]
    await world.act("replayDeliveries", HOTEL, deliveries=[one["number"]])
    await world.rows(dead)


async def be_asked_for_the_past(world: World) -> None:
    """Have all be pulled that a shop of the hotel's knows."""
    config = ConnectionConfig(
        code="canary-shop", business="hotel", connector="woocommerce", secrets=["s3cr3t"],
        config={"base_url": "http://127.0.0.1:9"},
    )  # fmt: skip
    async with world.api.engine.begin() as db:
        await connect(db, config=config, keyring=world.api.keyring)
    await world.act(
        "backfillConnection", STAFF, connection="canary-shop", since=f"{LATER:%Y-%m-%dT%H:%M:%SZ}"
    )


async def buy_and_return(world: World) -> None:
    """Buy by the new rule, and give a part back."""
    earned = await world.api.buy(world.han, "hotel", 20)
    async with world.api.engine.begin() as db:
        await clawback(
            db, business_id=world.api.ids["hotel"], member_id=world.han.member_id,
            account_id=world.han.account_id, earn_tx=earned, currency="CNY",
            refund=Refunded(nets={}, unallocated_minor=500, amount_minor=500),
            idempotency_key="back", occurred_at=now(), business_date=world.today, now=now(),
        )  # fmt: skip
