"""Open a dispute: a business says that lines of its statement are wrong."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, Malformed, Rejected
from hub.points.checks import named
from hub.settlement.codes import Source
from hub.settlement.corrections import reasoned
from hub.settlement.disputes import Dispute, dispute, keyed, lines_of
from hub.settlement.life import lock_period
from hub.settlement.queries import Period

MOST_LINES = 1000


async def open_dispute(
    db: AsyncConnection,
    *,
    period_id: int,
    line_ids: Sequence[int],
    business_id: int,
    reason: str,
    actor: str,
    idempotency_key: str,
    now: datetime,
) -> Dispute:
    """Dispute lines of a closed period in which `business_id` owes another one, or is owed.

    Until the period is approved, what is disputed is held back from what is due; afterwards a
    dispute that is upheld changes the next close alone. Asking again returns it as it now is.

    Raises NotFound; Conflict (key used for another dispute); Malformed; and Rejected while the
    period is not closed, for lines that are not the business's own, of several pairs, follow from
    a dispute, or are disputed already (it names them).
    """
    named(actor)
    reasoned(reason)
    keyed(idempotency_key)
    asked = sorted(set(line_ids))
    if not 1 <= len(asked) <= MOST_LINES:
        raise Malformed(f"dispute 1 to {MOST_LINES} lines at once", field="lines")
    # Whoever approves the period waits, or is waited for: a dispute is before or after.
    period = await lock_period(db, period_id)
    known = await db.scalar(
        text("""
          SELECT dispute_id FROM dispute
          WHERE business_id = :business_id AND idempotency_key = :key"""),
        {"business_id": business_id, "key": idempotency_key},
    )
    if known is not None:
        return await _same(db, known, period_id, asked, reason)
    pair = await _one_pair(db, period, asked, business_id)
    await _refuse_disputed(db, asked)
    dispute_id = await db.scalar(
        text("""
          INSERT INTO dispute (period_id, business_id, debtor_id, creditor_id, currency, reason,
            opened_by, opened_at, idempotency_key)
          VALUES (:period_id, :business_id, :debtor_id, :creditor_id, :currency, :reason, :actor,
            :now, :key)
          RETURNING dispute_id"""),
        {
            "period_id": period_id,
            "business_id": business_id,
            "debtor_id": pair[0],
            "creditor_id": pair[1],
            "currency": pair[2],
            "reason": reason,
            "actor": actor,
            "now": now,
            "key": idempotency_key,
        },
    )
    await db.execute(
        text("""
          INSERT INTO dispute_line (dispute_id, line_id)
          SELECT :id, unnest(CAST(:lines AS bigint[]))"""),
        {"id": dispute_id, "lines": asked},
    )
    return await dispute(db, dispute_id or 0)


async def _same(
    db: AsyncConnection, dispute_id: int, period_id: int, line_ids: list[int], reason: str
) -> Dispute:
    """Return what was opened under the key before; raises Conflict when it is another."""
    found = await dispute(db, dispute_id)
    lines = (await lines_of(db, dispute_ids=[dispute_id]))[dispute_id]
    for field, before, said in (
        ("period", found.period_id, period_id),
        ("lines", lines, line_ids),
        ("reason", found.reason, reason),
    ):
        if before != said:
            raise Conflict(f"the key was used before for another {field}", field=field)
    return found


async def _one_pair(
    db: AsyncConnection, period: Period, line_ids: list[int], business_id: int
) -> tuple[int, int, str]:
    """Return debtor, creditor and currency of the lines."""
    if period.state in ("open", "closing"):
        raise Rejected(
            f"period {period.code} is {period.state}: its lines are disputed once they stand",
            period=period.code,
        )
    rows = await db.execute(
        text("""
          SELECT line_id, source, tx_id, debtor_id, creditor_id, currency FROM obligation
          WHERE line_id = ANY (CAST(:lines AS bigint[])) AND period_id = :period_id
            AND :business_id IN (debtor_id, creditor_id) ORDER BY line_id"""),
        {"lines": line_ids, "period_id": period.period_id, "business_id": business_id},
    )
    found = rows.all()
    strange = sorted(set(line_ids) - {row.line_id for row in found})
    if strange:
        raise Rejected(
            f"lines {_few(strange)} are not in this business's statement of {period.code}",
            field="lines",
        )
    decided = [row for row in found if row.source == Source.DISPUTE]
    if decided:
        raise Rejected(
            f"line {decided[0].line_id} follows from dispute {decided[0].tx_id}, which is "
            "decided: ask finance for a correction",
            field="lines",
        )
    pairs = {(row.debtor_id, row.creditor_id, row.currency) for row in found}
    if len(pairs) > 1:
        raise Rejected(
            "these lines are of several debtors, creditors or currencies: dispute each apart",
            field="lines",
        )
    return pairs.pop()


async def _refuse_disputed(db: AsyncConnection, line_ids: list[int]) -> None:
    rows = await db.execute(
        text("""
          SELECT l.line_id, l.dispute_id, d.state FROM dispute_line l JOIN dispute d
            USING (dispute_id)
          WHERE l.stands AND l.line_id = ANY (CAST(:lines AS bigint[])) ORDER BY l.line_id"""),
        {"lines": line_ids},
    )
    found = rows.all()
    if found:
        first = found[0]
        raise Rejected(
            f"line {first.line_id} is disputed already ({len(found)} of these are): dispute "
            f"{first.dispute_id} is {first.state}",
            dispute_id=first.dispute_id,
        )


def _few(line_ids: list[int]) -> str:
    said = ", ".join(map(str, line_ids[:5]))
    return said if len(line_ids) <= 5 else f"{said} and {len(line_ids) - 5} more"
