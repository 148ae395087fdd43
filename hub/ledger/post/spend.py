"""Posting what a till asks: redeem, hold, and the end of a hold."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.caller import Presented
from hub.ledger.codes import Kind, Outcome, Unit
from hub.ledger.post.answer import OF_SPENDABLE, Answer, answer_of, ask, not_spendable

_REDEEM = text(f"""
SELECT * FROM ledger_redeem(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :account_id, CAST(:unit AS smallint), :points, :occurred_at, :business_date, :today, :now)
{OF_SPENDABLE}""")  # noqa: S608 - constants of ours
_HOLD = text(f"""
SELECT * FROM ledger_hold(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :account_id, CAST(:unit AS smallint), :points, :expires_at, :occurred_at, :business_date,
  :today, :now)
{OF_SPENDABLE}""")  # noqa: S608 - constants of ours
_END_HOLD = text("""
SELECT * FROM ledger_end_hold(CAST(:business_id AS smallint), :idempotency_key, :member_id,
  :hold_id, CAST(:kind AS smallint), CAST(:points AS bigint), :occurred_at, :business_date, :now)
""")


async def post_redeem(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    account_id: int | None,
    points: int,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> Answer:
    """Spend `points` from the lots active at `now` and valid on `today`, soonest expiry first."""
    return await ask(db, _REDEEM, locals())


_REDEEM_AT_TILL = """
SELECT tx_id, replayed, kind, outcome, member_id, unit, points, reference_tx, counterpart_id,
  shortfall, available
FROM redeem_at_till($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""


async def post_redeem_at_till(
    fetch: Callable[[str, Sequence[Any]], Awaitable[Sequence[Any] | None]],
    *,
    business_id: int,
    edition: str,
    idempotency_key: str,
    member: int | Presented,
    points: int,
    business_date: date,
    today: date,
    now: datetime,
) -> Answer | None:
    """Find a member at a business of which `edition` is known, and spend its points at `now`.

    None: nothing was done. `fetch` runs a statement of the driver's by itself, and commits it.
    """
    who = (member, None, None) if isinstance(member, int) else (None, *member)
    facts = (business_id, edition, idempotency_key, *who, points, business_date, today, now)
    row = await fetch(_REDEEM_AT_TILL, facts)
    if row is None or row[0] is None:
        return None
    tx_id, replayed, kind, outcome, member_id, unit, *amounts = row
    spent, reference_tx, counterpart_id, shortfall, available = amounts
    return Answer(
        tx_id=tx_id,
        replayed=replayed,
        kind=Kind(kind),
        outcome=Outcome(outcome),
        member_id=member_id,
        unit=unit,
        points=spent,
        reference_tx=reference_tx,
        counterpart_id=counterpart_id,
        shortfall=shortfall,
        available=available,
    )


async def post_hold(
    db: AsyncConnection,
    *,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    account_id: int | None,
    points: int,
    expires_at: datetime,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> Answer:
    """Set `points` aside until `expires_at`. The answer's `tx_id` is the hold's id."""
    return await ask(db, _HOLD, locals())


async def post_end_of_hold(
    db: AsyncConnection,
    *,
    kind: Kind,
    business_id: int,
    idempotency_key: str,
    member_id: int,
    hold_id: int,
    points: int | None,
    occurred_at: datetime,
    business_date: date,
    now: datetime,
) -> Answer:
    """Capture, void or lapse `points` of a hold (None: all that is left of it)."""
    return await ask(db, _END_HOLD, locals())


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeemRequest:
    """One redemption of a set; see post_redeem."""

    business_id: int
    idempotency_key: str
    member_id: int
    account_id: int | None
    points: int
    occurred_at: datetime
    business_date: date


_REDEEM_SET = text(f"""
SELECT * FROM ledger_redeem_set(CAST(:business_id AS smallint[]), CAST(:idempotency_key AS text[]),
  CAST(:member_id AS bigint[]), CAST(:account_id AS bigint[]), CAST(:unit AS smallint),
  CAST(:points AS bigint[]), CAST(:occurred_at AS timestamptz[]), CAST(:business_date AS date[]),
  :today, :now)
{OF_SPENDABLE}""")  # noqa: S608 - constants of ours


async def post_redeems(
    db: AsyncConnection,
    requests: Sequence[RedeemRequest],
    *,
    today: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> list[Answer]:
    """Redeem for many requests of one unit in one statement; answers in the order of `requests`.

    The requests of a member are served in their order; one that does not fit is declined and leaves
    the points to those behind it. Raises NotFound when the unit is none that can be spent.
    """
    columns: dict[str, object] = {
        name: [getattr(request, name) for request in requests]
        for name in RedeemRequest.__dataclass_fields__
    }
    facts = {**columns, "unit": unit, "today": today, "now": now}
    answers = [answer_of(row) for row in await db.execute(_REDEEM_SET, facts)]
    if len(answers) != len(requests):
        raise not_spendable(unit)
    return answers
