"""Breaks: what stands open between a book and the hub, since when, with whom."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Place, Stretch, page_of
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

    @property
    def size_minor(self) -> int | None:
        """How large the difference is, up or down, in minor units."""
        return None if self.amount_minor is None else abs(self.amount_minor)

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
BY_OPENING = Keyset((Column("opened_at", datetime), Column("break_id", int)))
BY_DAY = Keyset((Column("day", date), Column("break_id", int)))
BY_SIZE = Keyset(
    (Column("size_minor", int, "abs(amount_minor)"), Column("break_id", int)),
    where="amount_minor IS NOT NULL",
)
"""By how large the difference is, up or down: those alone that have an amount. Meant for one
currency, as amounts of several do not compare."""


class BreakFilter(NamedTuple):
    """Which breaks. `day` is that of the book, from `from_day` until `until_day`, both inclusive.

    `least_minor`: whose difference is that or more, up or down.
    """

    role: str | None = None
    counterparty_id: int | None = None
    currency: str | None = None
    owner: str | None = None
    least_minor: int | None = None
    from_day: date | None = None
    until_day: date | None = None
    opened_from: datetime | None = None
    opened_before: datetime | None = None


_FILTERS = {
    "business_ids": "business_id = ANY (CAST(:business_ids AS smallint[]))",
    "states": "state = ANY (CAST(:states AS text[]))",
    "kinds": "kind = ANY (CAST(:kinds AS text[]))",
    "role": "role = :role",
    "counterparty_id": "counterparty_id = :counterparty_id",
    "currency": "currency = :currency",
    "owner": "owner = :owner",
    "least_minor": "abs(amount_minor) >= :least_minor",
    "from_day": "day >= :from_day",
    "until_day": "day <= :until_day",
    "opened_from": "opened_at >= :opened_from",
    "opened_before": "opened_at < :opened_before",
}
_IS_OPEN = "closed_at IS NULL"


async def breaks(
    db: AsyncConnection,
    *,
    business_ids: Sequence[int],
    states: Sequence[str] = UNRESOLVED,
    kinds: Sequence[str] | None = None,
    only: BreakFilter | None = None,
    order: Keyset = BREAKS,
    first: int,
    after: Place | None = None,
    before: Place | None = None,
    backward: bool = False,
) -> list[Break]:
    """Return up to `first` breaks of these businesses' books, by BREAKS unless asked otherwise."""
    if {*states} <= {*UNRESOLVED}:
        # The same of all that are found, and how the indexes on what is open know it.
        order = replace(order, where=" AND ".join(filter(None, (order.where, _IS_OPEN))))
    said = {
        "business_ids": list(business_ids),
        "states": list(states),
        "kinds": None if kinds is None else list(kinds),
        **(only or BreakFilter())._asdict(),
    }
    ending, facts = page_of(
        order, Stretch(first, backward, after, before), only=said, filters=_FILTERS
    )
    rows = await db.execute(text(f"{_BREAK} {ending}"), facts)
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
