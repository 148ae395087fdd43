"""Tills that redeem at once: a business as it was met, and members who are known there."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.post import Answer
from hub.points.redeem_at_till import Fetch, redeem_at_till
from hub.programme.acting import ACTING, Acting, acting_of
from tests.support.businesses import open_businesses
from tests.support.ledger import NOON

# Accounts have the numbers that tests.support.ledger gives them.
_KNOWN = text("""
WITH known AS (SELECT m, m * 10 + :business AS a FROM unnest(CAST(:members AS bigint[])) m),
people AS (INSERT INTO member (member_id, created_at) SELECT m, :now FROM known),
accounts AS (INSERT INTO account (account_id, business_id, external_id, created_at)
  SELECT a, :business, 'c-' || m, :now FROM known)
INSERT INTO account_link (account_id, member_id, method, valid)
SELECT a, m, 'birth', tstzrange(:now, NULL) FROM known""")


async def open_tills(db: AsyncConnection) -> None:
    """Open businesses 1 to 3, whose days and the group's are those of UTC."""
    await open_businesses(db, ["CN"] * 3)
    for table in ("programme", "business"):
        await db.execute(text(f"UPDATE {table} SET time_zone = 'UTC'"))


async def introduce(db: AsyncConnection, members: Sequence[int], *, business_id: int) -> Acting:
    """Have members with these numbers be known at a business; returns it as it is met."""
    facts = {"members": list(members), "business": business_id, "now": NOON}
    await db.execute(_KNOWN, facts)
    code = await db.scalar(
        text("SELECT code FROM business WHERE business_id = :id"), {"id": business_id}
    )
    row = (await db.execute(ACTING.statement, {"business": code, "now": NOON})).one()
    return acting_of(row)


def driver(db: AsyncConnection) -> Fetch:
    """Return what runs a statement as the connection's driver does."""

    async def fetch(statement: str, values: Sequence[Any]) -> Any:
        raw: Any = (await db.get_raw_connection()).driver_connection
        return await raw.fetchrow(statement, *values)

    return fetch


async def at_once(
    fetch: Fetch,
    acting: Acting,
    *,
    member_id: int,
    points: int,
    idempotency_key: str,
    now: datetime,
    bill_minor: int | None = None,
    **_: object,
) -> Answer | None:
    """Redeem at once what was asked of `redeem`."""
    return await redeem_at_till(
        fetch,
        acting=acting,
        member=member_id,
        points=points,
        bill_minor=bill_minor,
        idempotency_key=idempotency_key,
        now=now,
    )
