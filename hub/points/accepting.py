"""Whether an acceptor takes so many points for a bill, asked before they are spent or held."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, Rejected
from hub.ledger.post import answered
from hub.points.checks import bill
from hub.programme.acceptance import AcceptanceRule


async def accepted(
    db: AsyncConnection,
    *,
    acceptance: AcceptanceRule | None,
    points: int,
    bill_minor: int | None,
    business_id: int,
    idempotency_key: str,
) -> None:
    """Raise what the rule says against `points` for the bill, unless they were answered before.

    A bill that is no amount is Malformed without a rule too. What fits costs no round trip. What
    was answered once is answered the same, whatever the rule says by now: only a refusal asks the
    ledger whether that is so.
    """
    try:
        bill(bill_minor)
        if acceptance is not None:
            acceptance.check(points, bill_minor=bill_minor)
    except (Rejected, Malformed):
        if await answered(db, business_id=business_id, idempotency_key=idempotency_key) is None:
            raise
