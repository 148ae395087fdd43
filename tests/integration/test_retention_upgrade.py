"""A database that knew retentions without reasons of their release keeps them as they were."""

import asyncio

from sqlalchemy import text
from sqlalchemy.pool import NullPool

from hub.clock import now
from hub.db.engine import make_engine
from hub.db.migrate import upgrade
from hub.privacy.release_retention import release_retention

BEFORE = (
    "INSERT INTO member (member_id, created_at) VALUES (1, '2020-01-01Z')",
    """INSERT INTO retention (member_id, placed_at, placed_by, reason, released_at, released_by)
       VALUES (1, '2020-01-01Z', 'ann', 'audit', '2020-02-01Z', 'bo'),
         (1, '2020-01-01Z', 'ann', 'dispute', NULL, NULL)""",
)


async def test_what_was_released_says_nothing_and_what_holds_is_released_with_a_reason(
    empty_database_url: str,
) -> None:
    await asyncio.to_thread(upgrade, empty_database_url, "0066_received")
    engine = make_engine(empty_database_url, poolclass=NullPool)
    async with engine.begin() as db:
        for statement in BEFORE:
            await db.execute(text(statement))
    await asyncio.to_thread(upgrade, empty_database_url)
    async with engine.begin() as db:
        found = [
            await release_retention(
                db, retention_id=number, released_by="dee", reason="it is over", now=now()
            )
            for number in (1, 2)
        ]
    await engine.dispose()
    assert [(one.released_by, one.released_because) for one in found] == [
        ("bo", None),
        ("dee", "it is over"),
    ]
