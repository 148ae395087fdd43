"""What the ledger's state machine stands on: a database, a clock, accounts of the model."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any, TypeVar

from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.engine import make_engine
from hub.ledger.post import post_earns
from hub.ledger.verify import verify
from tests.support.ledger import NOON, STORED, TODAY, lot
from tests.support.ledger_model import NEVER, Account, Lot
from tests.support.tills import introduce

T = TypeVar("T")
SHOP, HOTEL = 1, 2
ANNA, BO, POOL = 7, 8, 9
SPENDABLE, STARS = 1, 3


class LedgerMachine(RuleBasedStateMachine):
    """Two members and a pool, two businesses, two units, a clock that only moves forward."""

    url: str
    lots = Bundle("lots")
    holds = Bundle("holds")
    spends = Bundle("spends")
    shorts = Bundle("shorts")

    @initialize(target=lots)
    def start(self) -> object:
        self.runner = asyncio.Runner()
        self.engine = make_engine(self.url, pool_size=1)
        self.db: AsyncConnection = self.runner.run(self.engine.connect().__aenter__())
        self.runner.run(self.db.begin().__aenter__())
        self.today = TODAY
        self.now = NOON
        self.keys = 0
        self.sound = True
        self.till = self.run(introduce(self.db, [ANNA, BO], business_id=HOTEL))
        self.accounts: dict[tuple[int, int], Account] = {}
        each = product((SHOP, HOTEL), (ANNA, BO), (SPENDABLE, STARS))
        return multiple(*(self.issue(m, u, 400, business=b, days=b) for b, m, u in each))

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            if self.sound:
                assert self.run(verify(self.db)) == []
            self.runner.run(self.db.rollback())
            self.runner.run(self.db.close())
            self.runner.run(self.engine.dispose())
            self.runner.close()

    def run(self, work: Awaitable[T]) -> T:
        async def wrapped() -> T:
            self.sound = False  # what fails leaves a transaction that answers nothing more
            done = await work
            self.sound = True
            return done

        return self.runner.run(wrapped())

    def account(self, member: int, unit: int) -> Account:
        """The model's account, with what has become active in it, as a lock finds it."""
        found = self.accounts.setdefault((member, unit), Account(member, unit))
        found.activate(self.now)
        return found

    def key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    def facts(self, member: int, business_id: int) -> dict[str, Any]:
        return {
            "business_id": business_id,
            "member_id": member,
            "idempotency_key": self.key(),
            "occurred_at": self.now,
            "business_date": self.today,
            "now": self.now,
        }

    def issue(
        self,
        member: int,
        unit: int,
        points: int,
        *,
        business: int,
        days: int | None,
        late: int = 0,
        active_in: int | None = None,
        idle: int | None = None,
    ) -> tuple[Account, Lot]:
        account = self.accounts.setdefault((member, unit), Account(member, unit))
        ends = None if days is None else self.today + timedelta(days=days)
        activates_at = None if active_in is None else self.now + timedelta(days=active_in)
        earned_at = self.now - timedelta(minutes=late)
        asked = replace(
            lot(member, points, business_id=business, expires_on=ends, key=self.key()),
            unit=unit,
            qualifying=points if unit == SPENDABLE else 0,
            occurred_at=earned_at,
            business_date=self.today,
            activates_at=activates_at,
            idle_months=idle,
        )
        [lot_id] = self.run(post_earns(self.db, [asked], now=self.now)).values()
        assert self.run(post_earns(self.db, [asked], now=self.now)) == {}
        made = Lot(lot_id, business, points, ends or NEVER, earned_at, activates_at,
                   bool(active_in), idle, to_claw=points)  # fmt: skip
        account.lots.append(made)
        account.active_on(self.today)
        if account.owed:
            account.settle()
        return account, made

    @precondition(lambda self: hasattr(self, "db"))
    @invariant()
    def books_are_right(self) -> None:
        stored = {tuple(row) for row in self.run(self.db.execute(STORED))}
        expected = set().union(*(account.rows() for account in self.accounts.values()))
        assert {row for row in stored if any(row[4:])} == {row for row in expected if any(row[4:])}
