"""What points should do, told without SQL: the ledger is held against it."""

from calendar import monthrange
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

FORGIVEN, OWED, RECEIVABLE = 0, 1, 2
NEVER = date.max


def months_after(day: date, months: int) -> date:
    """The same day of a later month, or that month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@dataclass
class Lot:
    lot_id: int
    issuer: int
    remaining: int
    expires_on: date
    earned_at: datetime
    activates_at: datetime | None = None
    pending: bool = False
    idle_months: int | None = None
    origin: int | None = None
    to_claw: int = 0
    lost: int = 0

    def turn(self) -> tuple[date, datetime, int]:
        """Soonest expiry first, then oldest."""
        return self.expires_on, self.earned_at, self.lot_id


@dataclass
class Hold:
    hold_id: int
    account: "Account"
    left: int
    placed_on: date
    ends_at: datetime


@dataclass
class Shortfall:
    """What a clawback could not take."""

    tx_id: int
    earn_tx: int
    issuer: int
    mode: int
    left: int


@dataclass
class Spent:
    tx_id: int
    account: "Account"
    parts: list[tuple[Lot, int]]

    @property
    def left(self) -> int:
        """What has not been given back yet."""
        return sum(points for _, points in self.parts)


@dataclass
class Moved:
    """How many points a year's transfers and contributions came to."""

    sent: int = 0
    received: int = 0
    contributed: int = 0


@dataclass
class Account:
    """A member's points of one unit."""

    member: int
    unit: int
    lots: list[Lot] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    shortfalls: list[Shortfall] = field(default_factory=list)
    last_active_on: date | None = None
    in_year: dict[int, Moved] = field(default_factory=dict)

    @property
    def owed(self) -> int:
        return sum(s.left for s in self.shortfalls if s.mode == OWED)

    @property
    def in_lots(self) -> int:
        return sum(lot.remaining for lot in self.lots)

    @property
    def posted(self) -> int:
        return self.in_lots - self.owed

    @property
    def pending(self) -> int:
        return sum(lot.remaining for lot in self.lots if lot.pending)

    @property
    def held(self) -> int:
        return sum(hold.left for hold in self.holds)

    def rows(self) -> set[tuple[object, ...]]:
        """Everything that is stored of the account, as the machine reads it."""
        who = self.member, self.unit
        lots = {("lot", *who, n.lot_id, n.remaining, int(n.pending and n.remaining > 0), 0, 0,
                 n.expires_on) for n in self.lots}  # fmt: skip
        holds = {("hold", *who, h.hold_id, h.left, 0, 0, 0, h.placed_on) for h in self.holds}
        shorts = {("short", *who, s.tx_id, s.left, s.mode, 0, 0, None) for s in self.shortfalls}
        counts = self.posted, self.held, self.pending, self.owed
        moved = {("moved", *who, year, m.sent, m.received, m.contributed, 0, None)
                 for year, m in self.in_year.items()}  # fmt: skip
        return lots | holds | shorts | moved | {
            ("balance", *who, 0, *counts, self.last_active_on),
        }  # fmt: skip

    def moved(self, day: date) -> Moved:
        """What has been moved in the year of a day."""
        return self.in_year.setdefault(day.year, Moved())

    def active_on(self, day: date) -> None:
        self.last_active_on = max(day, self.last_active_on or day)

    def activate(self, now: datetime) -> None:
        for lot in self.lots:
            if lot.pending and lot.remaining and lot.activates_at and lot.activates_at <= now:
                lot.pending = False

    def ends(self, lot: Lot, today: date) -> bool:
        """Say whether a lot's time is over: its last day is past, or its member idle too long."""
        if lot.expires_on < today:
            return True
        if lot.idle_months is None or lot.pending or self.last_active_on is None:
            return False
        return months_after(self.last_active_on, lot.idle_months) < today

    def free(self, today: date) -> int:
        """What may be spent: neither held, nor owed, nor pending, nor past its day."""
        over = sum(lot.remaining for lot in self.lots if lot.expires_on < today)
        pending = sum(lot.remaining for lot in self.lots if lot.pending and lot.expires_on >= today)
        return max(0, self.posted - self.held - over - pending)

    def take(
        self, points: int, valid_on: date, only: Callable[[Lot], bool] = lambda _: True
    ) -> list[tuple[Lot, int]]:
        """Take up to so many points from active lots valid on a day, in their turn."""
        parts = []
        for lot in sorted(self.lots, key=Lot.turn):
            part = min(points, lot.remaining)
            if part and lot.expires_on >= valid_on and not lot.pending and only(lot):
                lot.remaining -= part
                points -= part
                parts.append((lot, part))
        return parts

    def capture(self, hold: Hold, points: int) -> list[tuple[Lot, int]]:
        """Take from what was valid when the hold was placed; else from what it kept since."""
        hold.left -= points
        parts = self.take(points, hold.placed_on)
        return parts + self.take(points - sum(n for _, n in parts), date.min)

    def claw(self, tx_id: int, lot: Lot, points: int, mode: int, limit: int) -> int:
        """Take back points of an earn; returns what could not be taken."""
        before = self.posted
        free = self.in_lots - self.pending - self.held
        wanted = points
        own_or_issuers = [n for n in self.lots if n is lot or n.issuer == lot.issuer]
        for one in sorted(own_or_issuers, key=lambda n: (n is not lot, n.pending, n.turn())):
            part = min(wanted, one.remaining, one.remaining if one.pending else free)
            free -= 0 if one.pending else part
            one.remaining -= part
            wanted -= part
        due = {FORGIVEN: 0, RECEIVABLE: wanted}.get(
            mode, min(wanted, max(0, limit + before - (points - wanted)))
        )
        for what, left in ((mode, due), (FORGIVEN, wanted - due)):
            if left:
                self.shortfalls.append(Shortfall(tx_id, lot.lot_id, lot.issuer, what, left))
        return wanted

    def settle(self) -> None:
        """Take what clawbacks could not: from the sale's own lot, and what is owed from others.

        What was forgiven comes first: a limit forgave it that is not reached now.
        """
        for short in sorted(self.shortfalls, key=lambda s: (s.mode != FORGIVEN, -s.mode, s.tx_id)):
            for lot in sorted(self.lots, key=lambda n: (n.lot_id != short.earn_tx, n.turn())):
                own = lot.lot_id == short.earn_tx
                if lot.pending or not (own or (short.mode == OWED and lot.issuer == short.issuer)):
                    continue
                free = self.in_lots - self.pending - self.held
                part = min(short.left, lot.remaining, free)
                lot.remaining -= part
                short.left -= part

    def spared(self) -> dict[int, int]:
        """What of each lot the open holds will take."""
        kept = dict.fromkeys((lot.lot_id for lot in self.lots), 0)
        for hold in sorted(self.holds, key=lambda h: (h.placed_on, h.hold_id)):
            wanted = hold.left
            for lot in sorted(self.lots, key=lambda n: (n.expires_on < hold.placed_on, n.turn())):
                if not lot.pending:
                    part = min(wanted, lot.remaining - kept[lot.lot_id])
                    kept[lot.lot_id] += part
                    wanted -= part
        return kept

    def expire(self, today: date) -> int:
        """End what is due and no hold will take."""
        kept = self.spared()
        ended = 0
        for lot in self.lots:
            if self.ends(lot, today):
                n = lot.remaining - (0 if lot.pending else kept[lot.lot_id])
                lot.remaining -= n
                lot.lost += n
                ended += n
        return ended

    def give_back(self, spent: Spent, points: int, today: date, grace: timedelta) -> None:
        """Return what a redemption took to where it came from, last taken first.

        What has ended ends before, swept or not.
        """
        if any(lot.remaining and lot.expires_on < today for lot in self.lots):
            self.expire(today)
        for i in reversed(range(len(spent.parts))):
            lot, part = spent.parts[i]
            back = min(points, part)
            spent.parts[i] = (lot, part - back)
            lot.remaining += back
            points -= back
            if back and lot.expires_on < today:
                lot.expires_on = today + grace

    def reinstate(self, lot: Lot, points: int, until: date, now: datetime) -> None:
        """Give back what a lot lost to expiry; what was not active yet still is not."""
        lot.pending = lot.pending and lot.activates_at is not None and lot.activates_at > now
        lot.lost -= points
        lot.remaining += points
        lot.expires_on = max(lot.expires_on, until)


def open_lots(account: Account, today: date) -> Iterable[Lot]:
    """Lots with points whose last day is not past, pending ones too."""
    return [lot for lot in account.lots if lot.remaining and lot.expires_on >= today]
