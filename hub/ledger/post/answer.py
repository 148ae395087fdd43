"""What the ledger answers, and how a function of the database is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, TextClause
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
