"""Reads of credit limits: how much of each is used."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an issuer owes an acceptor, settled or not, against its limit; in major units.

    `state`: fine, alert (near it), over, or stopped (over, and the acceptor takes no more); it has
    been so `since`.
    """

    issuer_id: int
    acceptor_id: int
    exposure: Decimal
    credit_limit: Decimal
    currency: str
    state: str
    since: datetime
    looked_at: datetime


async def standings(db: AsyncConnection, *, business_id: int | None = None) -> list[Standing]:
    """Return all limits that are watched, or those that a business is a side of; fullest first."""
    rows = await db.execute(
        text("""
          SELECT issuer_id, acceptor_id, exposure, credit_limit, currency, state, since, looked_at
          FROM credit_standing
          WHERE CAST(:business_id AS smallint) IS NULL
            OR CAST(:business_id AS smallint) IN (issuer_id, acceptor_id)
          ORDER BY exposure / credit_limit DESC, issuer_id, acceptor_id"""),
        {"business_id": business_id},
    )
    return [Standing(**row._asdict()) for row in rows]
