"""Requests of tills on quotas: their answers, and what makes two of them the same."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, Malformed

MOST_QUANTITY = 10_000
# The columns of a request as it is answered: those who were merged or split since are one person.
ANSWER = """t.replayed, (t.request).use_id, (t.request).kind, (t.request).outcome,
  (t.request).quantity, (t.request).remaining, (t.request).used_at, (t.request).reference_id,
  (t.request).outlet, b.code AS benefit_code,
  CASE WHEN (t.request).member_id <> :member_id AND (t.request).member_id = ANY (
      ledger_kin(ARRAY[CAST(:member_id AS bigint)])) THEN :member_id
    ELSE (t.request).member_id END AS member_id"""


class UseOutcome(StrEnum):
    """What came of a request. All but the first four are declines, stored like a success."""

    USED = "used"
    HELD = "held"
    RELEASED = "released"
    CANCELLED = "cancelled"
    NOT_OFFERED_HERE = "not_offered_here"
    NOT_ENTITLED = "not_entitled"
    QUOTA_USED = "quota_used"
    HOLD_CLOSED = "hold_closed"
    HOLD_EXCEEDED = "hold_exceeded"
    USE_EXCEEDED = "use_exceeded"


DONE = frozenset({UseOutcome.USED, UseOutcome.HELD, UseOutcome.RELEASED, UseOutcome.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class UseAnswer:
    """The hub's word on one request: now, or as it was given when the key came first.

    `use_id` is the number of the use, or of the hold. `remaining` is what the member could use
    after it; of a cancellation, what is left of the use to cancel.
    """

    outcome: UseOutcome
    replayed: bool
    use_id: int
    kind: str
    member_id: int
    benefit_code: str
    quantity: int
    remaining: int
    used_at: datetime
    reference_id: int | None
    outlet: str | None


def check_request(idempotency_key: str, quantity: int | None) -> None:
    """Raise Malformed for a key or a quantity that no till means."""
    if not 1 <= len(idempotency_key) <= 200:
        raise Malformed("an idempotency key has from 1 to 200 characters", field="idempotency_key")
    if quantity is not None and not 1 <= quantity <= MOST_QUANTITY:
        raise Malformed(f"quantity is from 1 to {MOST_QUANTITY}", field="quantity")


def answer(row: Row[Any], **asked: object) -> UseAnswer:
    """Return the answer of a request; raises Conflict naming what else its key was used for."""
    for field, value in asked.items():
        stored = getattr(row, field)
        if value != stored:
            raise Conflict(
                f"this idempotency key was used before for another request (its {field}: "
                f"{stored}): send that one again, or use a new key",
                field=field,
            )
    return UseAnswer(**{**row._asdict(), "outcome": UseOutcome(row.outcome)})


async def stored_member(db: AsyncConnection, *, reference_id: int, business_id: int) -> int | None:
    """Return whose a hold or use of this business was; None when it made none of that number."""
    found: int | None = await db.scalar(
        text("""
          SELECT member_id FROM entitlement_use
          WHERE use_id = :reference_id AND business_id = :business_id"""),
        {"reference_id": reference_id, "business_id": business_id},
    )
    return found
