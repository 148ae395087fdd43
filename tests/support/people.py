"""A group with members, for tests of what people and staff do with points."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.support.businesses import open_businesses

LI, HAN, WEI = 7, 8, 9


async def a_group(db: AsyncConnection, *, limit: int = 500, members: int = 2) -> None:
    """Two businesses and three members, 7 to 9, with accounts 71 (at business 1), 82 (at 2), 91.

    Every limit in points is `limit`, a pool has room for `members`, a lot may end a year later, and
    staff adjust 100 points alone. Points live for two years.
    """
    await open_businesses(db, ["CN", "CN"])
    for statement in (
        """INSERT INTO member (member_id, created_at)
           SELECT n, '2026-01-01Z' FROM generate_series(7, 9) n""",
        "SELECT setval('member_member_id_seq', 100)",
        """INSERT INTO account (account_id, business_id, external_id, created_at)
           OVERRIDING SYSTEM VALUE
           VALUES (71, 1, 'c-7', '2026-01-01Z'), (82, 2, 'c-8', '2026-01-01Z'),
             (91, 1, 'c-9', '2026-01-01Z')""",
        """INSERT INTO account_link (account_id, member_id, method, valid)
           SELECT account_id, account_id / 10, 'birth', tstzrange('2026-01-01Z', NULL)
           FROM account""",
        """INSERT INTO earning_rule (business_id, effective_from, points_per_unit,
             qualifying_per_unit, cost_per_point, earning_line_kinds, excluded_tender_kinds)
           SELECT business_id, '2026-01-01Z', 1, 1, 0.01, '{}', '{}' FROM business""",
        """INSERT INTO expiry_policy (effective_from, mode, months, round_up_to)
           VALUES ('2026-01-01Z', 'months', 24, 'month')""",
    ):
        await db.execute(text(statement))
    await db.execute(
        text("""
          INSERT INTO points_policy (effective_from, send_limit_points, receive_limit_points,
            pool_limit_points, adjust_alone_points, pool_members, restore_grace_days,
            extension_months)
          VALUES ('2026-01-01Z', :limit, :limit, :limit, 100, :members, 30, 12)"""),
        {"limit": limit, "members": members},
    )
