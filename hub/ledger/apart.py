"""What a split puts right: points that accounts, never one, spent of each other's. Pure.

While members are one, whoever spends takes the lots that end soonest, whichever account earned
them. When they come apart, every lot is given back what accounts of another side took from it; and
every side gives, for what its own accounts took, what it would have spent instead: of the lots it
then had, the one that would have ended first; also points of it that have expired meanwhile, which
would have been spent by then; then what came later. What it cannot give it owes.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from hub.ledger.codes import Side


@dataclass(slots=True, kw_only=True)
class Lot:
    """A lot of the member who comes apart; `free` changes as points are given."""

    lot_id: int
    account_id: int
    issuer_id: int
    cost_rate: Decimal
    expires_on: date
    order: tuple[object, ...]
    pending: bool
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """An entry on a lot, in the order of posting."""

    tx_id: int
    lot_id: int
    account_id: int
    points: int
    debit: int
    credit: int
    business_date: date
    refunded: int | None
    """Of a clawback, the lot of the sale that was refunded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An entry that puts something right. `lot_id` None: a new receivable of the account's.

    `account_id` is who had taken what now comes back, or is given for it. `owner_id` is whose
    points come back, else who gives.
    """

    lot_id: int | None
    account_id: int
    owner_id: int
    points: int
    debit: Side
    credit: Side
    issuer_id: int
    cost_rate: Decimal
    origin: Move | None = None
    """Of what is given, what it is given for."""


@dataclass(slots=True)
class _Take:
    move: Move
    points: int
    lapsed: bool = False


@dataclass(slots=True)
class _Ledger:
    """Lots by number, what expired of each by when, and what each side may still give."""

    lots: Mapping[int, Lot]
    expired: dict[int, list[_Take]] = field(default_factory=lambda: defaultdict(list))
    room: dict[int, int] = field(default_factory=lambda: defaultdict(int))


def redress(
    lots: Sequence[Lot],
    moves: Sequence[Move],
    sides: Mapping[int, int],
    held: Mapping[int, int],
    today: date,
) -> list[Line]:
    """Return what is to be posted so that each account stands as if it had been alone.

    `sides` says of each account on whose side it is, `held` what each side's holds keep: a side
    gives none of that. Points come back first, then they are given, then owed; all nets to zero.
    """
    ledger = _Ledger({lot.lot_id: lot for lot in lots})
    takes = _takes(ledger, moves, sides)
    lines = _put_back(ledger, takes)
    for lot in lots:
        if not lot.pending and (side := sides.get(lot.account_id)) is not None:
            ledger.room[side] += lot.free
    for side, points in held.items():
        ledger.room[side] -= points
    by_side: dict[int, list[Lot]] = defaultdict(list)
    for lot in sorted(lots, key=lambda one: one.order):
        if lot.account_id in sides and not lot.pending:
            by_side[sides[lot.account_id]].append(lot)
    for take in takes:
        side = sides[take.move.account_id]
        lines += _give(ledger, take, by_side[side], side, today)
    return lines


def short_of_holds(
    lots: Sequence[Lot], sides: Mapping[int, int], held: Mapping[int, int]
) -> int | None:
    """Return a side whose holds keep more than the lots it comes away with, if there is one.

    `lots` are as `redress` leaves them.
    """
    has: dict[int, int] = defaultdict(int)
    for lot in lots:
        if not lot.pending and lot.account_id in sides:
            has[sides[lot.account_id]] += lot.free
    return next((side for side, points in sorted(held.items()) if points > has[side]), None)


def _takes(ledger: _Ledger, moves: Sequence[Move], sides: Mapping[int, int]) -> list[_Take]:
    """What accounts took from lots of another side and did not bring back, in the order it was."""
    standing: dict[tuple[int, int, bool], list[_Take]] = defaultdict(list)
    for move in moves:
        lot = ledger.lots[move.lot_id]
        if move.credit == Side.EXPIRED:
            ledger.expired[lot.lot_id].append(_Take(move, move.points))
        elif move.debit == Side.EXPIRED:
            _undo(ledger.expired[lot.lot_id], move.points)
        of, by = sides.get(lot.account_id), sides.get(move.account_id)
        sides_of_move = {move.debit, move.credit}
        if of is None or by is None or of == by or Side.JOINED in sides_of_move:
            continue
        # What of it had expired when a side gave it is put back as it was.
        lapsed = sides_of_move == {Side.EXPIRED, Side.REDRESSED}
        took = standing[lot.lot_id, move.account_id, lapsed]
        if move.debit == (Side.EXPIRED if lapsed else Side.MEMBER):
            took.append(_Take(move, move.points, lapsed))
        elif move.credit == (Side.EXPIRED if lapsed else Side.MEMBER):
            _undo(took, move.points)
    takes = [take for stack in standing.values() for take in stack if take.points]
    return sorted(takes, key=lambda take: (take.move.tx_id, take.move.lot_id))


def _undo(stack: list[_Take], points: int) -> None:
    """Take back so many points of what was taken, the last first."""
    while points and stack:
        part = min(points, stack[-1].points)
        stack[-1].points -= part
        points -= part
        if stack[-1].points == 0:
            stack.pop()


def _put_back(ledger: _Ledger, takes: Sequence[_Take]) -> list[Line]:
    due: dict[tuple[int, int, bool], int] = defaultdict(int)
    for take in takes:
        due[take.move.lot_id, take.move.account_id, take.lapsed] += take.points
        if take.lapsed:
            ledger.expired[take.move.lot_id].append(_Take(take.move, take.points))
    lines = []
    for (lot_id, account_id, lapsed), points in due.items():
        lot = ledger.lots[lot_id]
        lot.free += 0 if lapsed else points
        to = Side.EXPIRED if lapsed else Side.MEMBER
        back = _line(lot, account_id, points, Side.REDRESSED, to)
        lines.append(replace(back, owner_id=lot.account_id))
    return lines


def _give(ledger: _Ledger, take: _Take, mine: Sequence[Lot], side: int, today: date) -> list[Line]:
    """Give for one take; what cannot be given becomes a receivable of the lot's issuer."""
    lines: list[Line] = []
    then = _would_have_taken(ledger, take.move, mine)
    later = [lot for lot in mine if lot not in then and lot.expires_on >= today]
    due, by = take.points, take.move.account_id
    for lot in [*then, *later]:
        if lot in then:
            for lapsed in ledger.expired[lot.lot_id]:
                if lapsed.move.tx_id > take.move.tx_id and (n := min(due, lapsed.points)):
                    lapsed.points -= n
                    due -= n
                    lines.append(_line(lot, by, n, Side.EXPIRED, Side.REDRESSED))
        if n := min(due, lot.free, max(0, ledger.room[side])):
            lot.free -= n
            ledger.room[side] -= n
            due -= n
            lines.append(_line(lot, by, n, Side.MEMBER, Side.REDRESSED))
    if due:
        owes = _line(ledger.lots[take.move.lot_id], by, due, Side.RECEIVABLE, Side.REDRESSED)
        lines.append(replace(owes, lot_id=None))
    return [replace(line, origin=take.move) for line in lines]


def _would_have_taken(ledger: _Ledger, move: Move, mine: Sequence[Lot]) -> list[Lot]:
    """Which lots of its own side would have been taken, and in which order."""
    had = [lot for lot in mine if lot.lot_id < move.tx_id]
    if move.credit not in (Side.CLAWED_BACK, Side.ADJUSTED):
        return [lot for lot in had if lot.expires_on >= move.business_date]
    # A refund takes from its sale's own lot, then, as a correction does, of that issuer.
    issuer_id = ledger.lots[move.lot_id].issuer_id
    own = [lot for lot in had if lot.lot_id == move.refunded]
    return own + [lot for lot in had if lot.issuer_id == issuer_id and lot not in own]


def _line(lot: Lot, account_id: int, points: int, debit: Side, credit: Side) -> Line:
    return Line(
        lot_id=lot.lot_id,
        account_id=account_id,
        owner_id=account_id,
        points=points,
        debit=debit,
        credit=credit,
        issuer_id=lot.issuer_id,
        cost_rate=lot.cost_rate,
    )
