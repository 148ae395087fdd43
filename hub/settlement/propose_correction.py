"""Propose a correction: what one business owes another more, or less, than was settled."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, Malformed, Rejected
from hub.points.checks import named
from hub.settlement.corrections import Correction, correction, reasoned
from hub.units import exponent

_MOST = Decimal(10) ** 13
_PLACES = 8
_LONGEST_KEY = 200


async def propose_correction(
    db: AsyncConnection,
    *,
    debtor_id: int,
    creditor_id: int,
    currency: str,
    amount: Decimal,
    reason: str,
    actor: str,
    idempotency_key: str,
    now: datetime,
    points: int = 0,
    line_id: int | None = None,
) -> Correction:
    """Propose that a debtor owes a creditor `amount` more (negative: less), for a second person.

    Approved, it is a line of the next period that is closed, taxed as the line that it corrects.
    Asking again returns it as it now is. Raises Conflict (key used for another correction),
    Malformed, and Rejected for a line that is not between the two.
    """
    named(actor)
    reasoned(reason)
    _sensible(debtor_id, creditor_id, currency, amount, idempotency_key)
    if line_id is not None:
        await _refuse_foreign(db, line_id, debtor_id, creditor_id, currency)
    asked = {
        "debtor_id": debtor_id,
        "creditor_id": creditor_id,
        "currency": currency,
        "amount": amount,
        "points": points,
        "line_id": line_id,
        "reason": reason,
        "maker": actor,
    }
    await db.execute(
        text("""
          INSERT INTO correction (debtor_id, creditor_id, currency, amount, points, line_id, reason,
            maker, proposed_at, idempotency_key)
          VALUES (:debtor_id, :creditor_id, :currency, :amount, :points, :line_id, :reason, :maker,
            :now, :key)
          ON CONFLICT (idempotency_key) DO NOTHING"""),
        {**asked, "now": now, "key": idempotency_key},
    )
    correction_id = await db.scalar(
        text("SELECT correction_id FROM correction WHERE idempotency_key = :key"),
        {"key": idempotency_key},
    )
    made = await correction(db, correction_id or 0)
    for field, value in asked.items():
        if getattr(made, field) != value:
            raise Conflict(
                f"the key was used before for a correction with another {field}", field=field
            )
    return made


def _sensible(
    debtor_id: int, creditor_id: int, currency: str, amount: Decimal, idempotency_key: str
) -> None:
    exponent(currency)
    if debtor_id == creditor_id:
        raise Malformed("a business owes itself nothing", field="creditor_id")
    if (
        not amount.is_finite()
        or not 0 < abs(amount) < _MOST
        or amount != amount.quantize(Decimal(1).scaleb(-_PLACES))
    ):
        raise Malformed(f"an amount is not zero, and has up to {_PLACES} decimals", field="amount")
    if not 1 <= len(idempotency_key) <= _LONGEST_KEY or not idempotency_key.isprintable():
        raise Malformed(
            f"an idempotency key has 1 to {_LONGEST_KEY} printable characters",
            field="idempotency_key",
        )


async def _refuse_foreign(
    db: AsyncConnection, line_id: int, debtor_id: int, creditor_id: int, currency: str
) -> None:
    row = (
        await db.execute(
            text("""
              SELECT debtor_id, creditor_id, currency FROM obligation WHERE line_id = :line_id"""),
            {"line_id": line_id},
        )
    ).first()
    if row is None or tuple(row) != (debtor_id, creditor_id, currency):
        raise Rejected(
            f"line {line_id} is not what this debtor owes this creditor in {currency}",
            field="line_id",
        )
