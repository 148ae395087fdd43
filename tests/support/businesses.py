"""Businesses for tests of people: where someone is seen matters, what is sold there does not."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def open_businesses(db: AsyncConnection, countries: Sequence[str]) -> None:
    """Open a business in each of the countries; ids count from 1; the group's day is China's."""
    await db.execute(text("INSERT INTO programme VALUES (true, 'Group', 'Asia/Shanghai', 'CNY')"))
    await db.execute(
        text("INSERT INTO legal_entity OVERRIDING SYSTEM VALUE VALUES (1, 'group', 'Group')")
    )
    await db.execute(
        text("""
        INSERT INTO business (business_id, code, name, kind, legal_entity_id, currency, country,
          time_zone)
        OVERRIDING SYSTEM VALUE
        SELECT n, 'shop-' || n, 'Shop', 'retail', 1, 'CNY', country, 'Asia/Shanghai'
        FROM unnest(CAST(:countries AS text[])) WITH ORDINALITY AS b (country, n)
        """),
        {"countries": list(countries)},
    )
