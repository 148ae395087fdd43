"""What the ledger answers, and how a function of the database is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind, Outcome


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


async def ask(db: AsyncConnection, statement: TextClause, facts: Mapping[str, object]) -> Answer:
    """Call a function of the ledger with a caller's keyword arguments (its `locals()`)."""
    asked = {name: value for name, value in facts.items() if name != "db"}
    return answer_of((await db.execute(statement, asked)).one())
