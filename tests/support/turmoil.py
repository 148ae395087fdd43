"""Merges, splits and points in random order, beside the same people who were never merged.

Every person has a twin, who does the same and is never merged. A person does only what the twin
can: so that, split from everybody, each must have what the twin has, and owe nothing.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from hub.ledger.codes import Kind, Outcome
from hub.ledger.post import Answer, HeldAcross, post_clawback, post_earns
from hub.members.queries import current_members
from hub.points.capture import capture
from hub.points.hold import hold
from hub.points.lapse import lapse
from hub.points.redeem import redeem
from hub.points.restore import restore
from hub.points.void import void
from tests.support.ledger import NOON, TODAY, lot

TWIN = 1_000_000
BUSINESSES = (1, 2, 3)
LARGEST = 6
WEIGHTS = {
    "earn": 6, "spend": 6, "set_aside": 2, "end": 3, "refund": 3, "give_back": 2, "next_day": 1,
    "merge": 4, "split": 4,
}  # fmt: skip
SETTLED = text("""
SELECT 'balance' AS what, member_id, unit, 0::bigint AS number, posted, held, pending, owed
  FROM balance WHERE unit = 1 AND (posted, held, owed) <> (0, 0, 0)
UNION ALL SELECT 'qualifying', member_id, unit, 0, posted, 0, 0, 0 FROM balance
  WHERE unit = 2 AND posted > 0
UNION ALL SELECT 'hold', member_id, unit, hold_id, points, captured, voided, 0 FROM hold
UNION ALL SELECT 'short', member_id, unit, tx_id, points - settled, mode, 0, 0 FROM shortfall
  WHERE open""")


class _Declined(Exception):
    """The twin may not: then neither may the person."""


@dataclass(slots=True)
class Earned:
    """A sale of a person and of the twin, and what is left to refund."""

    person: int
    account: int
    business: int
    lots: tuple[int, int]
    left: int


@dataclass(slots=True)
class Turmoil:
    """A small town, of which up to six people may be one.

    `means`: nobody spends more than the twin has, and no point ends, so that it is no matter which
    lot gives it; else they spend whatever the merged have.
    """

    seed: int
    people: int = 12
    means: bool = True
    dice: Random = field(init=False)
    edges: set[frozenset[int]] = field(default_factory=set)
    earned: list[Earned] = field(default_factory=list)
    holds: list[tuple[int, int, int, int]] = field(default_factory=list)
    spent: list[tuple[int, int, int, int, date]] = field(default_factory=list)
    acted: dict[int, int] = field(default_factory=dict)
    """Per person, points that came less points that went, by the acting account."""
    same: dict[int, int] = field(default_factory=dict)
    """Which number of a person's lot or hold is which of the twin's."""
    today: date = TODAY
    turn: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)

    @property
    def now(self) -> datetime:
        """Each step a second later than the last, days apart."""
        start = datetime.combine(self.today, NOON.timetz())
        return start + timedelta(seconds=self.turn % 30_000)

    async def found(self, db: AsyncConnection) -> None:
        """Let them be born: person n with accounts 10n + 1 and 10n + 2, and the twins."""
        for statement in (
            "INSERT INTO programme VALUES (true, 'Town', 'UTC', 'CNY')",
            "INSERT INTO legal_entity OVERRIDING SYSTEM VALUE VALUES (1, 'town', 'Town')",
            """INSERT INTO business (business_id, code, name, kind, legal_entity_id, currency,
                 country, time_zone) OVERRIDING SYSTEM VALUE
               SELECT n, 'shop-' || n, 'Shop', 'retail', 1, 'CNY', 'CN', 'UTC'
               FROM generate_series(1, 3) n""",
            f"""INSERT INTO member (member_id, created_at)
                SELECT n + twin, '2026-01-01Z' FROM generate_series(1, {self.people}) n,
                  (VALUES (0), ({TWIN})) AS t (twin)""",
            """INSERT INTO account (account_id, business_id, external_id, created_at)
               OVERRIDING SYSTEM VALUE
               SELECT member_id * 10 + n, n, 'c-' || member_id, '2026-01-01Z'
               FROM member, generate_series(1, 2) n""",
            """INSERT INTO account_link (account_id, member_id, method, valid)
               SELECT account_id, account_id / 10, 'birth', tstzrange('2026-01-01Z', NULL)
               FROM account""",
        ):
            await db.execute(text(statement))

    async def step(self, db: AsyncConnection) -> str:
        """Do something at random, or nothing where the twin may not; returns what was done."""
        self.turn += 1
        name = self.dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        try:
            async with db.begin_nested():
                done = await getattr(self, f"_{name}")(db)
        except _Declined:
            done = False
        what = name if done else "nothing"
        self.counts[what] = self.counts.get(what, 0) + 1
        return what

    def facts(self, twin: int = 0) -> dict[str, Any]:
        """What every request says; the twin's key is its own."""
        return {
            "idempotency_key": f"{self.turn}-{bool(twin)}",
            "occurred_at": self.now,
            "business_date": self.today,
            "now": self.now,
        }

    def partition(self) -> dict[int, int]:
        """Who is who, from the edges alone: the lowest that can be reached."""
        whom: dict[int, int] = {}
        for person in range(1, self.people + 1):
            if person in whom:
                continue
            reached, ahead = {person}, [person]
            while ahead:
                at = ahead.pop()
                for edge in self.edges:
                    if at in edge:
                        ahead += edge - reached
                        reached |= edge
            whom |= dict.fromkeys(reached, person)
        return whom

    async def _earn(self, db: AsyncConnection) -> bool:
        person = self.dice.randint(1, self.people)
        now_is = (await current_members(db, member_ids=[person]))[person]
        business = self.dice.choice(BUSINESSES)
        account = person * 10 + self.dice.randint(1, 2)
        points = self.dice.randint(10, 200)
        asked = replace(
            lot(person, points, business_id=business, qualifying=points // 3),
            expires_on=self.today + timedelta(days=self.dice.randint(0, 9)),
            occurred_at=self.now,
            business_date=self.today,
        )
        keys = f"earn-{self.turn}", f"earn-{self.turn}-twin"
        posted = await post_earns(
            db,
            [
                replace(asked, member_id=now_is, account_id=account, idempotency_key=keys[0]),
                replace(asked, member_id=person + TWIN, account_id=account + TWIN * 10,
                        idempotency_key=keys[1]),
            ],
            now=self.now,
        )  # fmt: skip
        lots = posted[business, keys[0]], posted[business, keys[1]]
        self.same[lots[0]] = lots[1]
        self.earned.append(Earned(person, account, business, lots, points))
        self._acts(person, points)
        return True

    def _acts(self, person: int, points: int) -> None:
        self.acted[person] = self.acted.get(person, 0) + points

    async def _both(self, db: AsyncConnection, verb: Any, person: int, twins: dict[str, Any],
                    **asked: Any) -> Answer:  # fmt: skip
        """Ask for the twin, then for the person; raises when either may not."""
        account = asked.pop("account_id", None)
        accounts = {} if account is None else {"account_id": account + TWIN * 10}
        if self.means:
            theirs = await verb(
                db, **self.facts(1), **{**asked, **twins}, **accounts, member_id=person + TWIN
            )
            if theirs.outcome is not Outcome.POSTED or theirs.shortfall:
                raise _Declined
        accounts = {} if account is None else {"account_id": account}
        mine = await verb(db, **self.facts(), **asked, **accounts, member_id=person)
        if mine.outcome is not Outcome.POSTED:
            if self.means:
                raise AssertionError(f"{person} may not what the twin may: {mine}")
            raise _Declined
        if self.means:
            self.same[mine.tx_id] = theirs.tx_id
        return mine  # type: ignore[no-any-return]

    async def _spend(self, db: AsyncConnection) -> bool:
        person, business = self.dice.randint(1, self.people), self.dice.choice(BUSINESSES)
        answer = await self._both(
            db, redeem, person, {}, business_id=business, points=self.dice.randint(1, 150),
            account_id=person * 10 + self.dice.randint(1, 2), today=self.today,
        )  # fmt: skip
        self.spent.append((person, business, answer.tx_id, answer.points, self.today))
        self._acts(person, -answer.points)
        return True

    async def _set_aside(self, db: AsyncConnection) -> bool:
        person, business = self.dice.randint(1, self.people), self.dice.choice(BUSINESSES)
        answer = await self._both(
            db, hold, person, {}, business_id=business, points=self.dice.randint(1, 150),
            account_id=person * 10 + 1, today=self.today, ttl_seconds=7 * 24 * 3600,
        )  # fmt: skip
        self.holds.append((person, business, answer.tx_id, answer.points))
        return True

    async def _end(self, db: AsyncConnection) -> bool:
        if not self.holds:
            return False
        person, business, hold_id, left = self.dice.choice(self.holds)
        points = self.dice.randint(1, left)
        verb = self.dice.choice([capture, void])
        answer = await self._both(
            db, verb, person, {"hold_id": self.same.get(hold_id)}, business_id=business,
            hold_id=hold_id, points=points,
        )  # fmt: skip
        self.holds.remove((person, business, hold_id, left))
        if left > points:
            self.holds.append((person, business, hold_id, left - points))
        if answer.kind is Kind.CAPTURE:
            self._acts(person, -points)
            self.spent.append((person, business, answer.tx_id, points, self.today))
        return True

    async def _refund(self, db: AsyncConnection) -> bool:
        sales = [sale for sale in self.earned if sale.left]
        if not sales:
            return False
        sale = self.dice.choice(sales)
        points = self.dice.randint(1, sale.left)
        facts = {"business_id": sale.business, "points": points, "qualifying": 0}
        if self.means:
            theirs = await post_clawback(
                db, **self.facts(1), **facts, member_id=sale.person + TWIN,
                account_id=sale.account + TWIN * 10, earn_tx=sale.lots[1],
            )  # fmt: skip
            if theirs.shortfall:
                raise _Declined
        now_is = (await current_members(db, member_ids=[sale.person]))[sale.person]
        await post_clawback(db, **self.facts(), **facts, member_id=now_is,
            account_id=sale.account, earn_tx=sale.lots[0])  # fmt: skip
        sale.left -= points
        self._acts(sale.person, -points)
        return True

    async def _give_back(self, db: AsyncConnection) -> bool:
        spent = [one for one in self.spent if one[4] == self.today and one[3]]
        if not spent:
            return False
        one = self.dice.choice(spent)
        person, business, number, left, day = one
        points = self.dice.randint(1, left)
        await self._both(
            db, restore, person, {"redemption_tx": self.same.get(number)}, business_id=business,
            redemption_tx=number, points=points, today=self.today,
        )  # fmt: skip
        self.spent.remove(one)
        self.spent.append((person, business, number, left - points, day))
        self._acts(person, points)
        return True

    async def _next_day(self, db: AsyncConnection) -> bool:
        if self.means:
            return False
        self.today += timedelta(days=1)
        return True

    async def _merge(self, db: AsyncConnection) -> bool:
        whom = self.partition()
        one, other = self.dice.sample(range(1, self.people + 1), 2)
        size = sum(1 for person in whom.values() if person in (whom[one], whom[other]))
        if whom[one] == whom[other] or size > LARGEST:
            return False
        await merge_members(db, member_ids=[one, other], method="staff", actor="mei",
            now=self.now, despite_non_match=True)  # fmt: skip
        self.edges.add(frozenset((one, other)))
        return True

    async def _split(self, db: AsyncConnection) -> bool:
        whom = self.partition()
        merged = [person for person, now_is in whom.items() if person != now_is]
        if not merged:
            return False
        family = whom[self.dice.choice(merged)]
        births = [person for person, now_is in whom.items() if now_is == family]
        leaving = set(self.dice.sample(births, self.dice.randint(1, len(births) - 1)))
        try:
            await self._part(db, family, leaving)
        except HeldAcross:
            if self.means:
                raise
            raise _Declined from None
        return True

    async def _part(self, db: AsyncConnection, family: int, leaving: set[int]) -> None:
        await split_members(db, member_id=family, account_ids=[p * 10 + 1 for p in leaving],
            actor="mei", now=self.now, reason="two people")  # fmt: skip
        births = {person for person, now_is in self.partition().items() if now_is == family}
        self.edges = {edge for edge in self.edges if not edge & births or len(edge & leaving) != 1}

    async def split_all(self, db: AsyncConnection) -> None:
        """Take everybody apart."""
        if not self.means:
            self.today += timedelta(days=8)
            await lapse(db, now=self.now, business_date=self.today)
        while merged := [p for p, now_is in self.partition().items() if p != now_is]:
            await self._part(db, self.partition()[merged[0]], {merged[0]})

    async def partition_is_right(self, db: AsyncConnection) -> None:
        """Raise unless everybody leads to who they are by the edges."""
        whom = self.partition()
        assert await current_members(db, member_ids=list(whom)) == whom

    async def differences(self, db: AsyncConnection) -> list[tuple[Any, ...]]:
        """Return what people who are alone now have and their twins do not, and the reverse."""
        whom = self.partition()
        alone = {p for p in whom if list(whom.values()).count(whom[p]) == 1}
        mine, theirs = set(), set()
        for row in await db.execute(SETTLED):
            person = row.member_id % TWIN
            if person in alone:
                number = (
                    row.number if row.member_id > TWIN else self.same.get(row.number, row.number)
                )
                (theirs if row.member_id > TWIN else mine).add((row.what, person, number, *row[4:]))
        return sorted(mine ^ theirs)

    async def sums(self, db: AsyncConnection) -> list[tuple[int, int, int]]:
        """Return people who are alone and whose points are not what their accounts did.

        As `(person, points less what is owed or forgiven, what the accounts did)`.
        """
        whom = self.partition()
        rows = await db.execute(
            text("""
              SELECT member_id, posted - coalesce((SELECT sum(points - settled) FROM shortfall s
                WHERE s.member_id = b.member_id AND s.unit = 1 AND s.mode <> 1), 0) AS points
              FROM balance b WHERE unit = 1 AND member_id < :twin ORDER BY member_id"""),
            {"twin": TWIN},
        )
        has: dict[int, int] = {row.member_id: int(row.points) for row in rows}
        return [
            (p, has.get(p, 0), self.acted.get(p, 0))
            for p in whom
            if list(whom.values()).count(whom[p]) == 1 and has.get(p, 0) != self.acted.get(p, 0)
        ]
