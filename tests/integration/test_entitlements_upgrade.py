"""Quotas of before they were ledgers: each becomes one, and its uses can be cancelled."""

import asyncio
from datetime import date

from sqlalchemy import text
from sqlalchemy.pool import NullPool

from hub.benefits.entitlements.cancel_use import cancel_use
from hub.benefits.entitlements.requests import UseOutcome
from hub.benefits.entitlements.verify import CHECKS, check
from hub.db.engine import make_engine
from hub.db.migrate import upgrade
from tests.support.settlement import noon

# Member 1 used both of two; of member 2, who absorbed somebody, one use is known by the sum alone.
BEFORE = (
    "INSERT INTO programme (name, time_zone, currency) VALUES ('g', 'Asia/Shanghai', 'CNY')",
    "INSERT INTO legal_entity (code, name) VALUES ('group', 'Group')",
    """INSERT INTO business (code, name, kind, legal_entity_id, currency, country, time_zone)
       SELECT code, code, 'retail', 1, 'CNY', 'CN', 'Asia/Shanghai'
       FROM unnest(ARRAY['shop', 'inn']) code""",
    "INSERT INTO tier (code, rank) VALUES ('gold', 1)",
    "INSERT INTO benefit (code, kind) VALUES ('spa', 'event')",
    """INSERT INTO benefit_terms (benefit_id, effective_from, price_minor, quota, tier_id,
         funder_id, currency, period, name, name_zh, offered_at)
       VALUES (1, '2026-01-01Z', 5, 2, 1, 1, 'CNY', 'year', 's', 's', '{2}')""",
    """INSERT INTO member (member_id, created_at)
       SELECT n, '2026-01-01Z' FROM generate_series(1, 2) n""",
    """INSERT INTO entitlement (member_id, benefit_id, starts_on, ends_on, granted, used)
       SELECT n, 1, '2026-01-01', '2026-12-31', 2, 3 - n FROM generate_series(1, 2) n""",
    """INSERT INTO entitlement_use (member_id, used_at, price_minor, remaining, business_id,
         benefit_id, funder_id, currency, outcome, idempotency_key)
       SELECT 1, '2026-03-01Z', 5, 0, 2, 1, 1, 'CNY', o, n::text
       FROM unnest(ARRAY['used', 'used', 'quota_used']) WITH ORDINALITY AS u (o, n)""",
)


async def test_what_was_used_before_is_told_by_entries(empty_database_url: str) -> None:
    await asyncio.to_thread(upgrade, empty_database_url, "0040_material_right")
    engine = make_engine(empty_database_url, poolclass=NullPool)
    try:
        async with engine.begin() as db:
            for statement in BEFORE:
                await db.execute(text(statement))
        await asyncio.to_thread(upgrade, empty_database_url)
        async with engine.begin() as db:
            broken = [await check(db, name) for name in CHECKS]
            cancelled = await cancel_use(
                db, business_id=2, use_id=1, idempotency_key="c", now=noon(date(2026, 4, 1))
            )
            free = (await db.scalars(text("SELECT free FROM entitlement ORDER BY member_id"))).all()
            still = [await check(db, name) for name in CHECKS]
    finally:
        await engine.dispose()
    assert broken == still == [None] * len(CHECKS)
    assert (cancelled.outcome, list(free)) == (UseOutcome.CANCELLED, [1, 1])
