"""Short ways to put points into a test's ledger."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.post import EarnRequest, post_earns

NOON = datetime(2026, 10, 15, 12, tzinfo=UTC)
TODAY = NOON.date()
COST = Decimal("0.008")
_keys = count()

# The ledger as the model's Account.rows tells it; qualifying points, never spent, are left out.
# Whether a closed lot was still pending tells nothing, and is forgotten when it would be active.
STORED = text("""
SELECT 'balance', member_id, unit, 0, posted, held, pending, owed, last_active_on
  FROM balance WHERE unit <> 2
UNION ALL SELECT 'lot', member_id, unit, lot_id, remaining, (pending AND open)::int, 0, 0,
  expires_on FROM lot
UNION ALL SELECT 'hold', member_id, unit, hold_id, points - captured - voided, 0, 0, 0, placed_on
  FROM hold
UNION ALL SELECT 'short', member_id, unit, tx_id, points - settled, mode, 0, 0, NULL FROM shortfall
UNION ALL SELECT 'moved', member_id, unit, year, sent, received, contributed, 0, NULL
  FROM moved_in_year""")


def lot(
    member_id: int,
    points: int,
    *,
    business_id: int = 1,
    expires_on: date | None = None,
    qualifying: int = 0,
    key: str | None = None,
    occurred_at: datetime = NOON,
    activates_at: datetime | None = None,
) -> EarnRequest:
    """A request for one lot, earned today at business 1 unless told otherwise."""
    return EarnRequest(
        business_id=business_id,
        idempotency_key=key or f"lot-{next(_keys)}",
        member_id=member_id,
        account_id=member_id * 10 + business_id,
        points=points,
        qualifying=qualifying,
        rule_id=1,
        cost_rate=COST,
        expires_on=expires_on,
        occurred_at=occurred_at,
        business_date=TODAY,
        activates_at=activates_at,
    )


async def give(db: AsyncConnection, member_id: int, points: int, **more: object) -> int:
    """Issue one lot and return its id."""
    request = lot(member_id, points, **more)  # type: ignore[arg-type]
    posted = await post_earns(db, [request], now=request.occurred_at)
    return posted[request.business_id, request.idempotency_key]
