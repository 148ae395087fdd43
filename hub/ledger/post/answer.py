"""What the ledger answers, and how a function of the database is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound
from hub.ledger.codes import Kind, Outcome

# Ends a call that names a unit: where nobody can spend it, the function is not even entered, and
# nothing is stored. It is looked up in the same round trip, once, before the call.
OF_SPENDABLE = """
WHERE EXISTS (SELECT 1 FROM point_unit
  WHERE unit_id = CAST(:unit AS smallint) AND kind = 'spendable')"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the ledger says to one request: posted now, posted before, or declined.

    `available` is what the request could have had at most: the member's free points, or what was
    left of the hold, the redemption or the limit. `shortfall` is what a clawback could not take
    from lots. `counterpart_id` is to whom points moved.
    """

    tx_id: int
    replayed: bool
    kind: Kind
    outcome: Outcome
    member_id: int
    unit: int
    points: int
    reference_tx: int | None
    counterpart_id: int | None
    shortfall: int
    available: int | None


def answer_of(row: Row[Any]) -> Answer:
    """Read an answer as the database's functions give it."""
    values = row._asdict()
    return Answer(**{**values, "kind": Kind(row.kind), "outcome": Outcome(row.outcome)})


def not_spendable(unit: object) -> NotFound:
    """What to say when a call that ends in OF_SPENDABLE answers nothing."""
    return NotFound(f"there are no points of unit {unit} to spend", field="unit", unit=unit)


async def ask(db: AsyncConnection, statement: TextClause, facts: Mapping[str, object]) -> Answer:
    """Call a function of the ledger with a caller's keyword arguments (its `locals()`).

    Raises NotFound when the statement asks for a spendable unit and this is none.
    """
    asked = {name: value for name, value in facts.items() if name != "db"}
    row = (await db.execute(statement, asked)).one_or_none()
    if row is None:
        raise not_spendable(facts["unit"])
    return answer_of(row)


async def answered(db: AsyncConnection, *, business_id: int, idempotency_key: str) -> Answer | None:
    """Return what was answered under a key before, as a replay; None when nothing was.

    For verbs that look at more than the ledger before they ask it: what was answered once is
    answered the same, whatever has changed since.
    """
    row = (
        await db.execute(
            text("""
              SELECT tx_id, true AS replayed, kind, outcome, member_id, unit, points, reference_tx,
                counterpart_id, shortfall, available
              FROM ledger_transaction
              WHERE business_id = :business_id AND idempotency_key = :idempotency_key"""),
            {"business_id": business_id, "idempotency_key": idempotency_key},
        )
    ).one_or_none()
    return None if row is None else answer_of(row)
