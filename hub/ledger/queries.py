"""Reads of the ledger. All of them take sets, so that a list costs as many statements as one."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch
from hub.db.relation import Relation
from hub.ledger.codes import Kind, Side, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What a member has of a unit. `available` is `posted` less what is held, not active yet or
    past its last day. What is `owed` lies below zero and is in `posted` already.
    """

    posted: int
    held: int
    pending: int
    owed: int
    available: int
    qualifying: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One movement of points, seen from the member: `points` is negative when they left.

    `kind` is what its sides say: EARN, REDEEM (a capture too), CLAWBACK, EXPIRE, RESTORE,
    REINSTATE, ADJUST, OPENING, TRANSFER (what moves between members, pools and what is owed), MERGE
    (what went along with a merge or a split) or SPLIT (what a split put right).
    """

    member_id: int
    tx_id: int
    seq: int
    lot_id: int
    account_id: int
    kind: Kind
    unit: int
    points: int
    issuer_id: int
    business_id: int
    business_date: date
    occurred_at: datetime
    posted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries: by where they happened, by kind and by business date (None: all)."""

    business_id: int | None = None
    kinds: tuple[Kind, ...] | None = None
    from_day: date | None = None
    until_day: date | None = None

    def facts(self) -> dict[str, Any]:
        """Return the parameters of ENTRY_FILTERS that say so."""
        found: dict[str, Any] = {
            "business_id": self.business_id,
            "from_day": self.from_day,
            "until_day": self.until_day,
        }
        if self.kinds is not None:
            found["debits"], found["credits"] = sides_of(self.kinds)
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Points of one earn. `expires_on` is their last valid day; None: they never expire."""

    member_id: int
    lot_id: int
    account_id: int
    issuer_id: int
    earned: int
    remaining: int
    expires_on: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Points set aside at a business until `expires_at`."""

    member_id: int
    hold_id: int
    business_id: int
    points: int
    captured: int
    voided: int
    remaining: int
    open: bool
    expires_at: datetime
    placed_on: date


# What an entry is to its member: credits of side 1 add to a balance, debits of it take away.
SIGNED_POINTS = "CASE WHEN credit = 1 THEN points WHEN debit = 1 THEN -points ELSE 0 END"

_ENDED = """SELECT {} FROM lot l WHERE l.member_id = {} AND l.open
    AND l.unit = CAST(:unit AS smallint) AND l.expires_on < :today"""


def _balances(*, ended: str, joined: str = "") -> str:
    """Tell what is available as ledger_available() does, without a call for each member."""
    return f"""
SELECT m.member_id, coalesce(s.posted, 0) AS posted, coalesce(s.held, 0) AS held,
  coalesce(s.pending, 0) AS pending, coalesce(s.owed, 0) AS owed,
  greatest(0, s.posted - s.held - coalesce({ended}, 0)
    - CASE WHEN s.pending <> 0 THEN coalesce((
        SELECT sum(l.remaining) FROM lot l WHERE l.member_id = m.member_id AND l.open
          AND l.unit = CAST(:unit AS smallint) AND l.expires_on >= :today
          AND l.pending AND l.activates_at > :now), 0) ELSE 0 END)::bigint AS available,
  coalesce(q.posted, 0) AS qualifying
FROM unnest(CAST(:member_ids AS bigint[])) AS m (member_id)
LEFT JOIN balance s ON s.member_id = m.member_id AND s.unit = CAST(:unit AS smallint){joined}
LEFT JOIN balance q ON q.member_id = m.member_id AND q.unit = 2
"""  # noqa: S608 - constants of ours


_ALL = "ANY(CAST(:member_ids AS bigint[]))"
# What has ended and is still to be taken away is found in one pass of an index; for one member it
# is looked up in less time.
BALANCES = Relation(
    _balances(
        ended="ended.points",
        joined=f"""
  AND s.member_id = {_ALL}
LEFT JOIN ({_ENDED.format("l.member_id, sum(l.remaining) AS points", _ALL)}
  GROUP BY l.member_id) ended ON ended.member_id = m.member_id""",
    ),
    ("member_id", "posted", "held", "pending", "owed", "available", "qualifying"),
    few=_balances(ended=f"({_ENDED.format('sum(l.remaining)', 'm.member_id')})"),
)
EXPIRING = Relation(
    """
SELECT l.member_id, sum(l.remaining)::bigint AS points
FROM lot l JOIN balance b USING (member_id, unit)
WHERE l.member_id = ANY(CAST(:member_ids AS bigint[])) AND l.open
  AND l.unit = CAST(:unit AS smallint)
  AND lot_ends_on(l.expires_on, l.idle_months, l.pending AND l.activates_at > :now,
    b.last_active_on) BETWEEN :today AND :until
GROUP BY l.member_id
""",
    ("member_id", "points"),
)
LOTS = Relation(
    """
SELECT l.* FROM unnest(CAST(:member_ids AS bigint[])) AS m (member_id)
CROSS JOIN LATERAL (SELECT member_id, lot_id, account_id, issuer_id, earned, remaining,
    nullif(expires_on, 'infinity') AS expires_on
  FROM lot WHERE lot.member_id = m.member_id AND open
  ORDER BY lot.expires_on, earned_at, lot_id LIMIT :limit) l
""",
    tuple(each.name for each in fields(Lot)),
)
_HOLD = """h.member_id, h.hold_id, h.business_id, h.points, h.captured, h.voided,
  h.points - h.captured - h.voided AS remaining, h.open, h.expires_at, h.placed_on"""
HOLDS = Relation(
    f"""
SELECT {_HOLD} FROM hold h
WHERE h.member_id = ANY(CAST(:member_ids AS bigint[])) AND h.open ORDER BY h.member_id, h.hold_id
""",  # noqa: S608 - constants of ours
    tuple(each.name for each in fields(Hold)),
)


async def balances(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    today: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> dict[int, Balance]:
    """Return each member's balance; of whoever never moved a point, a balance of zeros."""
    facts = {"member_ids": list(member_ids), "unit": unit, "today": today, "now": now}
    return balances_of(await db.execute(BALANCES.statement, facts))


async def restored(db: AsyncConnection, *, member_id: int, redemption_tx: int) -> int:
    """Return how many points of a redemption were given back, whoever the member then was."""
    found: int | None = await db.scalar(
        text("""
          SELECT coalesce(sum(points), 0)::bigint FROM ledger_transaction
          WHERE member_id = ANY (ledger_kin(ARRAY[CAST(:member_id AS bigint)]))
            AND reference_tx = :redemption_tx AND kind = 8 AND outcome = 0"""),
        {"member_id": member_id, "redemption_tx": redemption_tx},
    )
    return found or 0


def balances_of(rows: Iterable[Row[Any]]) -> dict[int, Balance]:
    """Read rows of a member's id and a balance's fields."""
    found = {}
    for row in rows:
        values = row._asdict()
        member_id = values.pop("member_id")
        found[member_id] = Balance(**values)
    return found


async def expiring(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    today: date,
    until: date,
    now: datetime,
    unit: int = Unit.SPENDABLE,
) -> dict[int, int]:
    """Return how many of each member's points have their last day from `today` to `until`.

    Of what ends by idleness that is the day on which it ends if nothing more happens.
    """
    rows = await db.execute(
        EXPIRING.statement,
        {"member_ids": list(member_ids), "unit": unit, "today": today, "until": until, "now": now},
    )
    found = {row.member_id: int(row.points) for row in rows}
    return {member_id: found.get(member_id, 0) for member_id in member_ids}


# (debit, credit) of each kind of entry; the header is not asked, it has no key by transaction.
_KINDS = {
    (Side.ISSUED, Side.MEMBER): Kind.EARN,
    (Side.MEMBER, Side.ACCEPTED): Kind.REDEEM,
    (Side.MEMBER, Side.CLAWED_BACK): Kind.CLAWBACK,
    (Side.MEMBER, Side.RECEIVABLE): Kind.CLAWBACK,
    (Side.MEMBER, Side.EXPIRED): Kind.EXPIRE,
    (Side.ACCEPTED, Side.MEMBER): Kind.RESTORE,
    (Side.EXPIRED, Side.MEMBER): Kind.REINSTATE,
    (Side.MEMBER, Side.MOVED): Kind.TRANSFER,
    (Side.MOVED, Side.MEMBER): Kind.TRANSFER,
    (Side.MEMBER, Side.ADJUSTED): Kind.ADJUST,
    (Side.ADJUSTED, Side.MEMBER): Kind.ADJUST,
    (Side.OPENING, Side.MEMBER): Kind.OPENING,
    (Side.MEMBER, Side.JOINED): Kind.MERGE,
    (Side.JOINED, Side.MEMBER): Kind.MERGE,
    (Side.MEMBER, Side.REDRESSED): Kind.SPLIT,
    (Side.REDRESSED, Side.MEMBER): Kind.SPLIT,
}
_KIND = " ".join(
    f"WHEN {debit} THEN CASE credit "
    + " ".join(f"WHEN {c} THEN {kind}" for (d, c), kind in _KINDS.items() if d == debit)
    + " END"
    for debit in sorted({debit for debit, _ in _KINDS})
)
ENTRY_COLUMNS = f"""member_id, tx_id, seq, lot_id, account_id, CASE debit {_KIND} END AS kind, unit,
  {SIGNED_POINTS} AS points, issuer_id, business_id, business_date, occurred_at, posted_at"""
_ENTRY = tuple(each.name for each in fields(Entry))
POSTED = Keyset((Column("tx_id", int), Column("seq", int)), descending=True)
"""The order of posting, the newest first."""
ENTRY_FILTERS: dict[str, str] = {
    "business_id": "business_id = :business_id",
    "kinds": """(debit, credit) IN (
      SELECT * FROM unnest(CAST(:debits AS smallint[]), CAST(:credits AS smallint[])))""",
    "from_day": "business_date >= :from_day",
    "until_day": "business_date <= :until_day",
}
"""By what entries are filtered, and how that is said of a row."""


def entry_page(*, order: Keyset, stretch: Stretch, only: Collection[str] = ()) -> Relation:
    """Return the read of up to `:limit` entries of each member, by `order`, between the places of a
    stretch. `only` names those of ENTRY_FILTERS that hold.
    """
    conditions = ["e.member_id = m.member_id", "1 IN (debit, credit)", order.between(stretch)]
    conditions += [said for name, said in ENTRY_FILTERS.items() if name in only]
    return Relation(
        f"""
SELECT e.* FROM unnest(CAST(:member_ids AS bigint[])) AS m (member_id)
CROSS JOIN LATERAL (SELECT {ENTRY_COLUMNS} FROM entry e WHERE {" AND ".join(conditions)}
  ORDER BY {order.order(stretch)} LIMIT :limit) e
""",  # noqa: S608 - no input in it
        _ENTRY,
    )


async def entries(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    only: EntryFilter,
    stretch: Stretch,
    order: Keyset = POSTED,
) -> dict[int, list[Entry]]:
    """Return entries of each member, in the order of posting, the newest first unless asked.

    Kinds that move nothing (a hold, a void) have no entries.
    """
    facts = only.facts()
    held = {"kinds" if name in ("debits", "credits") else name for name in facts}
    page = entry_page(order=order, stretch=stretch, only=held)
    facts |= {"member_ids": list(member_ids), "limit": stretch.limit, **order.facts(stretch)}
    rows = await db.execute(page.statement, facts)
    found: dict[int, list[Entry]] = {member_id: [] for member_id in member_ids}
    for row in rows:
        found[row.member_id].append(entry_of(row))
    return found


async def entries_by_key(
    db: AsyncConnection, *, keys: Sequence[tuple[int, int, int]]
) -> dict[tuple[int, int, int], Entry]:
    """Return entries by `(member_id, tx_id, seq)`; what does not exist is left out."""
    rows = await db.execute(
        text(f"""
          SELECT {ENTRY_COLUMNS} FROM entry JOIN unnest(CAST(:members AS bigint[]),
            CAST(:txs AS bigint[]), CAST(:seqs AS smallint[])) AS k (member_id, tx_id, seq)
            USING (member_id, tx_id, seq)"""),  # noqa: S608 - no input in it
        dict(zip(("members", "txs", "seqs"), _columns(keys, 3), strict=True)),
    )
    return {(row.member_id, row.tx_id, row.seq): entry_of(row) for row in rows}


def entry_of(row: Row[Any]) -> Entry:
    """Read an entry from a row that has ENTRY_COLUMNS, and maybe more."""
    facts = {name: getattr(row, name) for name in _ENTRY}
    return Entry(**{**facts, "kind": Kind(row.kind)})


def sides_of(kinds: Collection[Kind]) -> list[list[int]]:
    """Return the debits and the credits by which entries of these kinds are known."""
    return _columns([sides for sides, known in _KINDS.items() if known in kinds], 2)


async def open_lots(
    db: AsyncConnection, *, member_ids: Sequence[int], limit: int
) -> dict[int, list[Lot]]:
    """Return up to `limit` lots of each member that have points left, in order of consumption."""
    rows = await db.execute(LOTS.statement, {"member_ids": list(member_ids), "limit": limit})
    found: dict[int, list[Lot]] = {member_id: [] for member_id in member_ids}
    for row in rows:
        found[row.member_id].append(Lot(**row._asdict()))
    return found


async def open_holds(db: AsyncConnection, *, member_ids: Sequence[int]) -> dict[int, list[Hold]]:
    """Return each member's open holds, oldest first, lapsed ones included until they are swept."""
    rows = await db.execute(HOLDS.statement, {"member_ids": list(member_ids)})
    found: dict[int, list[Hold]] = {member_id: [] for member_id in member_ids}
    for row in rows:
        found[row.member_id].append(Hold(**row._asdict()))
    return found


async def holds_by_key(
    db: AsyncConnection, *, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Hold]:
    """Return holds by `(member_id, hold_id)`; what does not exist is left out.

    One that went along when its member was merged or split is found by whoever had it.
    """
    rows = await db.execute(
        text(f"""
          SELECT k.member_id AS asked_id, {_HOLD} FROM unnest(CAST(:members AS bigint[]),
            CAST(:holds AS bigint[])) AS k (member_id, hold_id)
          JOIN hold h ON h.hold_id = k.hold_id
            AND h.member_id = ANY (ledger_kin(ARRAY[k.member_id]))"""),  # noqa: S608
        dict(zip(("members", "holds"), _columns(keys, 2), strict=True)),
    )
    found = {}
    for row in rows:
        values = row._asdict()
        asked_id = values.pop("asked_id")
        found[asked_id, row.hold_id] = Hold(**values)
    return found


def _columns(keys: Iterable[Sequence[int]], width: int) -> list[list[int]]:
    rows = list(keys)
    return [[row[i] for row in rows] for i in range(width)]
