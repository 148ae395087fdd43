"""Propose an adjustment: few points are posted at once, more wait for a second person."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, NotFound
from hub.ledger.codes import Unit
from hub.points.acting_account import acting_account
from hub.points.adjustments import COLUMNS, Adjustment, adjustment_of, post
from hub.points.answers import key_used
from hub.points.checks import MOST_POINTS, key, named, reasoned
from hub.programme.queries import Terms, terms

_DEAREST, _FINEST = Decimal(1000), Decimal("1e-8")


async def propose_adjustment(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    points: int,
    reason: str,
    maker: str,
    idempotency_key: str,
    business_date: date,
    today: date,
    now: datetime,
    account_id: int | None = None,
    unit: int = Unit.SPENDABLE,
    cost_rate: Decimal | None = None,
    expires_on: date | None = None,
) -> Adjustment:
    """Correct a member's points by `points`, more or (negative) fewer, at a business's expense.

    Up to and including the points policy's `adjust_alone_points` it is posted, or declined for too
    few points, at once; above, it waits for `approve_adjustment`. What is not said is the
    business's: the cost rate of its rule in force, the last day by the expiry policy in force, the
    member's oldest account there, else anywhere. Asking again returns the adjustment as it now is.
    Raises Conflict (key used for another adjustment), NotFound (a unit that nobody can spend, a
    member without account), Malformed (no points, no reason) and Rejected (no rule or policy).
    """
    _sensible(points, cost_rate, expires_on, today)
    key(idempotency_key)
    reasoned(reason)
    named(maker, field="maker")
    in_force = await terms(db)
    _spendable(in_force, unit)
    asked = {"member_id": member_id, "points": points, "unit": unit, "reason": reason}
    said = {"maker": maker, "cost_rate": cost_rate, "expires_on": expires_on}
    if account_id is None:
        account_id = await acting_account(
            db, member_id=member_id, business_id=business_id, elsewhere=True
        )
        if account_id is None:
            raise NotFound("this member has no account to adjust", field="member_id")
    if cost_rate is None:
        cost_rate = in_force.rule(business_id, now).cost_per_point
    policy = in_force.policies.expiry(unit, now)
    made = await _keep(
        db,
        {
            **asked,
            "maker": maker,
            "business_id": business_id,
            "account_id": account_id,
            "cost_rate": cost_rate,
            "expires_on": expires_on or policy.expires_on(today),
            "idle_months": None if expires_on else policy.idle_months,
            "idempotency_key": idempotency_key,
            "now": now,
        },
    )
    if made is None:
        return await _made_before(db, business_id, idempotency_key, {**asked, **said})
    if abs(points) > in_force.policies.points(now).adjust_alone_points:
        return made
    return await post(
        db,
        adjustment=made,
        checker=None,
        business_date=business_date,
        today=today,
        now=now,
    )


def _sensible(points: int, cost_rate: Decimal | None, expires_on: date | None, today: date) -> None:
    if type(points) is not int or not 0 < abs(points) <= MOST_POINTS:
        raise Malformed(
            f"points must be a whole number from 1 to {MOST_POINTS}, or as many fewer",
            field="points",
        )
    if cost_rate is not None and not (
        cost_rate.is_finite()
        and 0 <= cost_rate < _DEAREST
        and cost_rate == cost_rate.quantize(_FINEST)
    ):
        raise Malformed(
            f"a point costs from 0 to less than {_DEAREST}, with up to 8 decimals",
            field="cost_rate",
        )
    if expires_on is not None and expires_on < today:
        raise Malformed(f"{expires_on} has passed", field="expires_on")


def _spendable(in_force: Terms, unit: int) -> None:
    if in_force.policies.unit_by_id(unit).kind != "spendable":
        raise NotFound(f"there are no points of unit {unit} to spend", field="unit", unit=unit)


async def _keep(db: AsyncConnection, facts: dict[str, object]) -> Adjustment | None:
    """Store a proposal; None when its key was used before."""
    row = await db.execute(
        text(f"""
          INSERT INTO adjustment (member_id, account_id, points, proposed_at, expires_on,
            idle_months, business_id, unit, cost_rate, maker, reason, idempotency_key)
          VALUES (:member_id, :account_id, :points, :now, :expires_on, :idle_months, :business_id,
            :unit, :cost_rate, :maker, :reason, :idempotency_key)
          ON CONFLICT (business_id, idempotency_key) DO NOTHING RETURNING {COLUMNS}"""),  # noqa: S608
        facts,
    )
    made = row.one_or_none()
    return None if made is None else adjustment_of(made)


async def _made_before(
    db: AsyncConnection, business_id: int, idempotency_key: str, asked: dict[str, object]
) -> Adjustment:
    """Return the adjustment that was proposed under a key, if it is what is asked now."""
    row = await db.execute(
        text(f"""
          SELECT {COLUMNS} FROM adjustment
          WHERE business_id = :business_id AND idempotency_key = :idempotency_key"""),  # noqa: S608
        {"business_id": business_id, "idempotency_key": idempotency_key},
    )
    before = adjustment_of(row.one())
    for field, value in asked.items():
        stored = getattr(before, field)
        if stored != value and not (field in {"cost_rate", "expires_on"} and value is None):
            raise key_used(field, stored)
    return before
