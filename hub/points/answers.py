"""What comes back from the ledger is checked against what was asked."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict
from hub.ledger.codes import Kind
from hub.ledger.post import Answer


def same_request(
    answer: Answer,
    *,
    kind: Kind,
    member_id: int,
    points: int | None,
    reference_tx: int | None = None,
    counterpart_id: int | None = None,
    unit: int | None = None,
) -> Answer:
    """Return `answer` unless its key was first used for something else.

    Raises Conflict naming the field that differs. `points=None` asked for whatever was left, which
    any stored amount answers; `unit=None` for the unit of what it refers to.
    """
    if not answer.replayed:
        return answer
    asked = {
        "kind": kind,
        "member_id": member_id,
        "counterpart_id": counterpart_id,
        "unit": unit,
        "points": points,
        "reference_tx": reference_tx,
    }
    for field, value in asked.items():
        stored = getattr(answer, field)
        if stored != value and not (field in {"points", "unit"} and value is None):
            shown = stored.name.lower() if isinstance(stored, Kind) else stored
            raise key_used(field, shown)
    return answer


def key_used(field: str, stored: object) -> Conflict:
    """Return the conflict of a key that was used for a request whose `field` was `stored`."""
    return Conflict(
        f"this idempotency key was used before for another request (its {field}: {stored}): "
        "send that one again, or use a new key",
        field=field,
    )


async def same_reason(
    db: AsyncConnection, answer: Answer, *, business_id: int, idempotency_key: str, reason: str
) -> Answer:
    """Return `answer` unless its key was first used with another reason; then raises Conflict."""
    if answer.replayed:
        stored = await db.scalar(
            text("""
              SELECT reason FROM ledger_transaction
              WHERE business_id = :business_id AND idempotency_key = :idempotency_key"""),
            {"business_id": business_id, "idempotency_key": idempotency_key},
        )
        if stored != reason:
            raise key_used("reason", stored)
    return answer
