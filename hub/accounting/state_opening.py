"""State opening: what an issuer's books say it owes for the points that it brings."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, NotFound, Rejected
from hub.ledger.codes import Unit
from hub.points.checks import named, reasoned
from hub.programme.queries import businesses
from hub.units import Money


async def state_opening(
    db: AsyncConnection,
    *,
    issuer_id: int,
    amount: str,
    actor: str,
    reason: str,
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> Decimal:
    """Keep the liability for all points brought in within the first period that recognises some.

    `amount` is decimal text in major units of the issuer's currency; it is shared over these
    points evenly. Unstated, points brought in count at their expected cost. The same again is one
    effect. Raises Conflict for another amount, Rejected when they are recognised already, NotFound
    for a business that is none, Malformed for an amount that is none.
    """
    named(actor, field="actor")
    reasoned(reason)
    issuer = next((b for b in await businesses(db) if b.business_id == issuer_id), None)
    if issuer is None:
        raise NotFound(f"there is no business {issuer_id}", field="issuer_id")
    said = Money.parse(amount, issuer.currency)
    if said.minor < 0:
        raise Rejected("what is owed for points is not below zero", field="amount")
    exact = Decimal(str(said))
    facts = {"issuer_id": issuer_id, "unit": unit, "amount": exact}
    await db.execute(text("LOCK TABLE recognition IN SHARE ROW EXCLUSIVE MODE"))
    known: Decimal | None = await db.scalar(
        text("SELECT amount FROM opening_liability WHERE issuer_id = :issuer_id AND unit = :unit"),
        facts,
    )
    if known is not None:
        if known != exact:
            raise Conflict(f"the opening liability was stated as {known}", field="amount")
        return exact
    recognised = await db.scalar(
        text("""
          SELECT 1 FROM liability_movement
          WHERE issuer_id = :issuer_id AND unit = :unit AND kind = 'brought_in' LIMIT 1"""),
        facts,
    )
    if recognised:
        raise Rejected(
            "points brought in are recognised already, at their expected cost", field="issuer_id"
        )
    await db.execute(
        text("""
          INSERT INTO opening_liability (issuer_id, unit, amount, stated_at, actor, reason)
          VALUES (:issuer_id, :unit, :amount, :now, :actor, :reason)"""),
        {**facts, "now": now, "actor": actor, "reason": reason},
    )
    return exact
