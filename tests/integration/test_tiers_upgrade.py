"""A database that knew one ladder of points keeps its tiers, and counts what was bought."""

import asyncio
from datetime import date

from sqlalchemy import text
from sqlalchemy.pool import NullPool

from hub.db.engine import make_engine
from hub.db.migrate import upgrade

BEFORE = (
    "INSERT INTO programme (name, time_zone, currency) VALUES ('G', 'Asia/Shanghai', 'CNY')",
    "INSERT INTO legal_entity (code, name) VALUES ('l', 'L')",
    """INSERT INTO business (code, name, kind, legal_entity_id, currency, country, time_zone)
       VALUES ('shop', 'S', 'retail', 1, 'CNY', 'CN', 'Asia/Shanghai')""",
    "INSERT INTO tier (code, rank) VALUES ('iron', 0), ('silver', 1)",
    """INSERT INTO tier_terms (tier_id, effective_from, name, name_zh, threshold)
       VALUES (1, '2020-01-01Z', 'Iron', '铁', 0), (2, '2020-01-01Z', 'Silver', '银', 1000),
         (2, '2026-06-01Z', 'Silver', '银', 2000)""",
    "INSERT INTO member (member_id, created_at) VALUES (1, '2020-01-01Z'), (2, '2020-01-01Z')",
    """INSERT INTO account (account_id, business_id, external_id, created_at)
       OVERRIDING SYSTEM VALUE VALUES (7, 1, 'c', '2020-01-01Z')""",
    """INSERT INTO member_tier (member_id, step, tier_id, since, until, threshold, qualifying,
         reason)
       VALUES (1, 1, 1, '2020-02-01Z', '2026-05-01Z', 0, 0, 'reached'),
         (1, 2, 2, '2026-05-01Z', NULL, 1000, 1200, 'reached'),
         (2, 1, 2, '2021-12-31 20:00Z', NULL, 1000, 1000, 'merged')""",
    """INSERT INTO ledger_transaction (tx_id, member_id, account_id, points, occurred_at,
         business_date, business_id, kind, idempotency_key)
       VALUES (1, 1, 7, 12, '2026-05-01Z', '2026-05-01', 1, 1, 'fact:1:sale:A'),
         (2, 1, 7, 3, '2026-05-02Z', '2026-05-02', 1, 2, 'fact:1:refund:R1'),
         (3, 1, 7, 9, '2026-05-03Z', '2026-05-03', 1, 2, 'fact:1:refund:R2'),
         (4, 1, 7, 5, '2026-05-04Z', '2026-05-04', 1, 1, 'opening:1')""",
    """INSERT INTO earn_basis (member_id, tx_id, total_minor, currency, lines, base_minor)
       VALUES (1, 1, 1300, 'CNY', '[]', 1200), (1, 4, 500, 'CNY', '[]', 500)""",
    """INSERT INTO refund_basis (member_id, earn_tx, tx_id, amount_minor, unallocated_minor, points,
         qualifying, nets)
       VALUES (1, 1, 2, 333, 333, 3, 3, '{}'), (1, 1, 3, 2000, 2000, 9, 9, '{}')""",
)


async def test_tiers_and_what_was_bought_are_there_after_the_upgrade(
    empty_database_url: str,
) -> None:
    await asyncio.to_thread(upgrade, empty_database_url, "0040_material_right")
    engine = make_engine(empty_database_url, poolclass=NullPool)
    async with engine.begin() as db:
        for statement in BEFORE:
            await db.execute(text(statement))
    await asyncio.to_thread(upgrade, empty_database_url)
    async with engine.connect() as db:
        asks = await db.execute(
            text("SELECT tier_id, need, reach FROM tier_terms ORDER BY tier_id, effective_from")
        )
        assert [tuple(row) for row in asks] == [
            (tier_id, "all", [points, None, None, None, None])
            for tier_id, points in ((1, None), (2, 1000), (2, 2000))
        ]
        held = await db.execute(
            text("""
              SELECT member_id, step, ladder_id, window_from, window_to, valid_until,
                extract(year FROM terms_from)::integer
              FROM member_tier ORDER BY member_id, step""")
        )
        this_year = await db.scalar(text("SELECT extract(year FROM now())::integer"))
        first, second, third = [tuple(row) for row in held]
        assert first == (1, 1, 0, None, None, None, 2020)
        assert second == (1, 2, 0, date(2026, 1, 1), date(2026, 12, 31),
                          date(max(2027, this_year), 12, 31), 2020)  # fmt: skip
        assert third == (2, 1, 0, None, None, date(max(2023, this_year), 12, 31), 2020)
        rows = await db.execute(
            text("SELECT key, spend_minor, paid_minor, bills FROM qualifying_activity ORDER BY key")
        )
        assert [tuple(row) for row in rows] == [
            ("fact:1:refund:R1", -(1200 * 333 // 1300), -333, 0),
            ("fact:1:refund:R2", -(1200 - 1200 * 333 // 1300), -967, -1),
            ("fact:1:sale:A", 1200, 1300, 1),
        ]
    await engine.dispose()
