"""What the three verbs on adjustments share: the stored row, and its posting."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound
from hub.ledger.codes import Outcome
from hub.ledger.post import post_adjustment


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """A correction by staff: `points` more, as a new lot of the business, or (negative) fewer.

    `state` is proposed, posted, declined (there were only `available` points) or rejected (for what
    `verdict` says). `checker` is None while nobody decided, and where its `maker` might alone.
    """

    member_id: int
    adjustment_id: int
    business_id: int
    account_id: int
    points: int
    unit: int
    cost_rate: Decimal
    expires_on: date | None
    idle_months: int | None
    reason: str
    state: str
    maker: str
    checker: str | None
    verdict: str | None
    tx_id: int | None
    available: int | None
    proposed_at: datetime

    @property
    def size(self) -> int:
        """By how many points, more or fewer."""
        return abs(self.points)


COLUMNS = """member_id, adjustment_id, business_id, account_id, points, unit, cost_rate, expires_on,
  idle_months, reason, state, maker, checker, verdict, tx_id, available, proposed_at"""


def adjustment_of(row: Row[Any]) -> Adjustment:
    """Read an adjustment as COLUMNS give it."""
    return Adjustment(**row._asdict())


async def lock_adjustment(db: AsyncConnection, *, member_id: int, adjustment_id: int) -> Adjustment:
    """Lock an adjustment, before any balance, and return it; raises NotFound."""
    row = (
        await db.execute(
            text(f"""
              SELECT {COLUMNS} FROM adjustment
              WHERE member_id = :member_id AND adjustment_id = :adjustment_id FOR UPDATE"""),  # noqa: S608
            {"member_id": member_id, "adjustment_id": adjustment_id},
        )
    ).one_or_none()
    if row is None:
        raise NotFound("there is no such adjustment", field="adjustment_id")
    return adjustment_of(row)


async def post(
    db: AsyncConnection,
    *,
    adjustment: Adjustment,
    checker: str | None,
    business_date: date,
    today: date,
    now: datetime,
) -> Adjustment:
    """Post a proposed adjustment and return it as it then is: posted, or declined.

    It goes to whose the account now is.
    """
    whose = await db.scalar(
        text("SELECT account_holder(:account_id)"), {"account_id": adjustment.account_id}
    )
    answer = await post_adjustment(
        db,
        business_id=adjustment.business_id,
        idempotency_key=f"adjustment:{adjustment.adjustment_id}",
        member_id=whose or adjustment.member_id,
        account_id=adjustment.account_id,
        points=adjustment.points,
        cost_rate=adjustment.cost_rate,
        expires_on=adjustment.expires_on,
        idle_months=adjustment.idle_months,
        reason=adjustment.reason,
        occurred_at=now,
        business_date=business_date,
        today=today,
        now=now,
        unit=adjustment.unit,
    )
    posted = answer.outcome is Outcome.POSTED
    return await decide(
        db,
        adjustment=adjustment,
        state="posted" if posted else "declined",
        checker=checker,
        now=now,
        tx_id=answer.tx_id,
        available=None if posted else answer.available,
    )


async def decide(
    db: AsyncConnection,
    *,
    adjustment: Adjustment,
    state: str,
    checker: str | None,
    now: datetime,
    tx_id: int | None = None,
    available: int | None = None,
    verdict: str | None = None,
) -> Adjustment:
    """Store what became of a locked adjustment."""
    row = await db.execute(
        text(f"""
          UPDATE adjustment SET state = :state, checker = :checker, decided_at = :now,
            tx_id = :tx_id, available = :available, verdict = :verdict
          WHERE member_id = :member_id AND adjustment_id = :adjustment_id RETURNING {COLUMNS}"""),  # noqa: S608
        {
            "member_id": adjustment.member_id,
            "adjustment_id": adjustment.adjustment_id,
            "state": state,
            "checker": checker,
            "now": now,
            "tx_id": tx_id,
            "available": available,
            "verdict": verdict,
        },
    )
    return adjustment_of(row.one())
