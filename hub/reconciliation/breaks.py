"""Breaks: what stands open between a book and the hub, since when, with whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Place, Stretch
from hub.errors import Malformed, NotFound
from hub.points.checks import named
from hub.reconciliation.books import lock_book
from hub.settlement.life import LONGEST_NOTE

KINDS = (
    *("missing_at_hub", "missing_at_partner", "amount", "points", "date", "currency"),
    *("duplicate", "ambiguous"),
)
UNRESOLVED = ("open", "investigating", "reopened")
STATES = (*UNRESOLVED, "resolved", "written_off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A break. `points` and `amount_minor` are the business's less the hub's.

    Of different currencies, and of what waits for a choice, they are the business's own.
    `write_off_by` asked for it to be written off, for which somebody else must be.
    """

    break_id: int
    book_id: int
    business_id: int
    role: str
    leg: int
    kind: str
    state: str
    resolution: str | None
    counterparty_id: int | None
    day: date
    points: int | None
    amount_minor: int | None
    currency: str | None
    owner: str | None
    reason: str | None
    write_off_by: str | None
    write_off_reason: str | None
    correction_id: int | None
    adjustment_id: int | None
    opened_at: datetime
    closed_at: datetime | None

    def age_days(self, now: datetime) -> int:
        """Return for how many whole days it has been, or was, open."""
        return ((self.closed_at or now) - self.opened_at).days


COLUMNS = """break_id, book_id, business_id, role, leg, kind, state, resolution, counterparty_id,
  day, points, amount_minor, currency, owner, reason, write_off_by, write_off_reason, correction_id,
  adjustment_id, opened_at, closed_at"""
_BREAK = f"SELECT {COLUMNS} FROM reconciliation_break JOIN reconciliation_book USING (book_id)"  # noqa: S608


def break_of(row: Row[Any]) -> Break:
    """Read a break as COLUMNS give it."""
    return Break(**row._asdict())


async def break_by_id(db: AsyncConnection, break_id: int) -> Break:
    """Return a break; raises NotFound."""
    row = (await db.execute(text(f"{_BREAK} WHERE break_id = :id"), {"id": break_id})).first()
    if row is None:
        raise NotFound(f"there is no break {break_id}", break_id=break_id)
    return break_of(row)


async def lock_break(db: AsyncConnection, break_id: int) -> Break:
    """Return a break that nobody else, and no run, changes before this transaction ends."""
    await lock_book(db, (await break_by_id(db, break_id)).book_id)
    return await break_by_id(db, break_id)


BREAKS = Keyset((Column("break_id", int),))
"""The oldest first."""


async def breaks(
    db: AsyncConnection,
    *,
    business_ids: Sequence[int],
    states: Sequence[str] = UNRESOLVED,
    kinds: Sequence[str] = KINDS,
    first: int,
    after: Place | None = None,
    before: Place | None = None,
    backward: bool = False,
) -> list[Break]:
    """Return up to `first` breaks of these businesses' books, by BREAKS."""
    stretch = Stretch(first, backward, after, before)
    rows = await db.execute(
        text(f"""{_BREAK} WHERE business_id = ANY (CAST(:ids AS smallint[]))
          AND state = ANY (CAST(:states AS text[])) AND kind = ANY (CAST(:kinds AS text[]))
          AND {BREAKS.between(stretch)} ORDER BY {BREAKS.order(stretch)} LIMIT :first"""),
        {
            "ids": list(business_ids),
            "states": list(states),
            "kinds": list(kinds),
            "first": first,
            **BREAKS.facts(stretch),
        },
    )
    return [break_of(row) for row in rows]


def reasoned(reason: str, *, field: str = "reason") -> None:
    """Raise Malformed unless a reason says something that can be kept."""
    if not 1 <= len(reason.strip()) <= LONGEST_NOTE or not reason.isprintable():
        raise Malformed(f"a {field} has 1 to {LONGEST_NOTE} characters", field=field)


async def change_break(
    db: AsyncConnection,
    broken: Break,
    *,
    event: str,
    actor: str,
    note: str | None,
    now: datetime,
    **changes: object,
) -> Break:
    """Change a locked break and keep who did it; returns it as it stands then."""
    named(actor)
    marks = ", ".join(f"{name} = :{name}" for name in changes)
    await db.execute(
        text(f"UPDATE reconciliation_break SET {marks} WHERE break_id = :break_id"),  # noqa: S608
        {"break_id": broken.break_id, **changes},
    )
    await db.execute(
        text("""
          INSERT INTO reconciliation_break_event (break_id, at, actor, event, note)
          VALUES (:break_id, :now, :actor, :event, :note)"""),
        {"break_id": broken.break_id, "now": now, "actor": actor, "event": event, "note": note},
    )
    return await break_by_id(db, broken.break_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEvent:
    """What became of a break, by whom."""

    break_id: int
    at: datetime
    actor: str
    event: str
    note: str | None


async def break_events(
    db: AsyncConnection, *, break_ids: Sequence[int]
) -> dict[int, list[BreakEvent]]:
    """Return what became of each break, in its order."""
    rows = await db.execute(
        text("""
          SELECT break_id, at, actor, event, note FROM reconciliation_break_event
          WHERE break_id = ANY (CAST(:ids AS bigint[])) ORDER BY event_id"""),
        {"ids": list(break_ids)},
    )
    found: dict[int, list[BreakEvent]] = {break_id: [] for break_id in break_ids}
    for row in rows:
        found[row.break_id].append(BreakEvent(**row._asdict()))
    return found
