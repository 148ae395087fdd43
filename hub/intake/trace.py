"""Trace: from a number in the ledger back to the receipt and the delivery that told of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Kind
from hub.settlement.codes import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Where a transaction came from.

    `reference` is the key under which it was asked for: a till's own. `document` is the sale, stay
    or refund in the `connection`'s system that a delivery told of; None for what no delivery did.
    """

    tx_id: int
    kind: Kind
    business_id: int
    reference: str
    occurred_at: datetime
    posted_at: datetime
    connection: str | None
    document: str | None
    delivery_id: int | None


async def trace(db: AsyncConnection, *, tx_ids: Sequence[int]) -> dict[int, Trace | None]:
    """Return where each of these transactions came from; None for numbers that are none."""
    rows = await db.execute(
        text("""
          SELECT tx_id, kind, business_id, reference, occurred_at, posted_at, connection, document,
            delivery_id
          FROM ledger_trace(CAST(:ids AS bigint[]))"""),
        {"ids": list(tx_ids)},
    )
    found: dict[int, Trace | None] = dict.fromkeys(tx_ids)
    for row in rows:
        found[row.tx_id] = Trace(**{**row._asdict(), "kind": Kind(row.kind)})
    return found


async def lots_consumed(db: AsyncConnection, *, line_ids: Sequence[int]) -> dict[int, int | None]:
    """Return the lot that each line of a settlement consumed; None for lines of something else.

    A lot has the number of the transaction that gave it out.
    """
    rows = await db.execute(
        text("""
          SELECT o.line_id, e.lot_id FROM obligation o
          JOIN entry e ON e.member_id = o.member_id AND e.tx_id = o.tx_id AND e.seq = o.seq
          WHERE o.line_id = ANY (CAST(:ids AS bigint[])) AND o.source = :entry"""),
        {"ids": list(line_ids), "entry": Source.ENTRY},
    )
    found: dict[int, int | None] = dict.fromkeys(line_ids)
    found.update({row.line_id: row.lot_id for row in rows})
    return found
