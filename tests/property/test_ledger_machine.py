"""The ledger against a model that anyone can read: every verb, in any order, on real PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.engine import make_engine
from hub.ledger.codes import Outcome
from hub.ledger.post import Answer
from hub.ledger.verify import verify
from hub.points.capture import capture
from hub.points.expire import expire
from hub.points.hold import hold
from hub.points.lapse import lapse
from hub.points.redeem import redeem
from hub.points.restore import GRACE_DAYS, restore
from hub.points.void import void
from tests.support import stack
from tests.support.ledger import NOON, TODAY, give

T = TypeVar("T")
MEMBER = 7
SHOP, HOTEL = 1, 2
TTL = timedelta(days=4)


@dataclass
class ModelLot:
    lot_id: int
    expires_on: date
    earned_at: datetime
    remaining: int

    def turn(self) -> tuple[date, datetime, int]:
        return self.expires_on, self.earned_at, self.lot_id


@dataclass
class ModelHold:
    hold_id: int
    left: int
    placed_on: date
    ends_at: datetime


@dataclass
class Spent:
    tx_id: int
    parts: list[tuple[ModelLot, int]] = field(default_factory=list)

    @property
    def left(self) -> int:
        return sum(points for _, points in self.parts)


class Ledger(RuleBasedStateMachine):
    """One member, two businesses, a clock that only moves forward."""

    url: str
    holds = Bundle("holds")
    spends = Bundle("spends")

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.engine = make_engine(self.url, pool_size=1)
        self.db: AsyncConnection = self.runner.run(self.engine.connect().__aenter__())
        self.runner.run(self.db.begin().__aenter__())
        self.today = TODAY
        self.now = NOON
        self.lots: list[ModelLot] = []
        self.open_holds: list[ModelHold] = []
        self.keys = 0

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.db.rollback())
            self.runner.run(self.db.close())
            self.runner.run(self.engine.dispose())
            self.runner.close()

    def run(self, work: Awaitable[T]) -> T:
        async def wrapped() -> T:
            return await work

        return self.runner.run(wrapped())

    def facts(self, business_id: int) -> dict[str, object]:
        self.keys += 1
        return {
            "business_id": business_id,
            "member_id": MEMBER,
            "idempotency_key": f"key-{self.keys}",
            "occurred_at": self.now,
            "business_date": self.today,
            "now": self.now,
        }

    @property
    def held(self) -> int:
        return sum(h.left for h in self.open_holds)

    @property
    def free(self) -> int:
        valid = sum(lot.remaining for lot in self.lots if lot.expires_on >= self.today)
        return max(0, valid - self.held)

    def take(self, points: int, valid_on: date) -> list[tuple[ModelLot, int]]:
        parts = []
        for lot in sorted(self.lots, key=ModelLot.turn):
            if lot.expires_on >= valid_on and points and lot.remaining:
                part = min(points, lot.remaining)
                lot.remaining -= part
                points -= part
                parts.append((lot, part))
        assert points == 0
        return parts

    @rule(
        points=st.integers(1, 1000),
        days=st.integers(0, 3),
        business=st.sampled_from([SHOP, HOTEL]),
        minutes_late=st.integers(0, 2),
    )
    def earn(self, points: int, days: int, business: int, minutes_late: int) -> None:
        ends = self.today + timedelta(days=days)
        earned_at = self.now - timedelta(minutes=minutes_late)
        lot_id = self.run(
            give(
                self.db,
                MEMBER,
                points,
                business_id=business,
                expires_on=ends,
                qualifying=points,
                occurred_at=earned_at,
            )
        )
        self.lots.append(ModelLot(lot_id, ends, earned_at, points))

    @rule(target=spends, points=st.integers(1, 1500))
    def redeem(self, points: int) -> object:
        asked = self.facts(HOTEL)
        free = self.free
        answer = self.run(redeem(self.db, points=points, today=self.today, **asked))  # type: ignore[arg-type]
        assert answer.available == free
        assert self.run(redeem(self.db, points=points, today=self.today, **asked)).replayed  # type: ignore[arg-type]
        if points > free:
            assert answer.outcome is Outcome.INSUFFICIENT_POINTS
            return multiple()
        assert answer.outcome is Outcome.POSTED
        return Spent(answer.tx_id, self.take(points, self.today))

    @rule(target=holds, points=st.integers(1, 1500))
    def hold(self, points: int) -> object:
        free = self.free
        answer = self.run(
            hold(
                self.db,
                points=points,
                today=self.today,
                ttl_seconds=TTL.days * 86_400,
                **self.facts(HOTEL),
            )  # type: ignore[arg-type]
        )
        if points > free:
            assert answer.outcome is Outcome.INSUFFICIENT_POINTS
            return multiple()
        made = ModelHold(answer.tx_id, points, self.today, self.now + TTL)
        self.open_holds.append(made)
        return made

    @rule(target=spends, held=holds, points=st.integers(1, 1500))
    def capture(self, held: ModelHold, points: int) -> object:
        answer = self.run(
            capture(
                self.db,
                hold_id=held.hold_id,
                points=points,
                **self.facts(HOTEL),  # type: ignore[arg-type]
            )
        )
        if not self.answered_by_hold(answer, held, points):
            return multiple()
        return Spent(answer.tx_id, self.take(points, held.placed_on))

    @rule(held=holds, points=st.integers(1, 1500))
    def void(self, held: ModelHold, points: int) -> None:
        answer = self.run(
            void(self.db, hold_id=held.hold_id, points=points, **self.facts(HOTEL))  # type: ignore[arg-type]
        )
        self.answered_by_hold(answer, held, points)

    def answered_by_hold(self, answer: Answer, held: ModelHold, points: int) -> bool:
        """Check the outcome, take the points off the hold, and say whether it was posted."""
        if held.left == 0:
            assert answer.outcome is Outcome.HOLD_CLOSED
        elif points > held.left:
            assert answer.outcome is Outcome.HOLD_EXCEEDED
        else:
            assert answer.outcome is Outcome.POSTED
            held.left -= points
            return True
        return False

    @rule(held=consumes(holds))
    def nobody_elses_hold(self, held: ModelHold) -> None:
        answer = self.run(void(self.db, hold_id=held.hold_id, **self.facts(SHOP)))  # type: ignore[arg-type]
        assert answer.outcome is Outcome.HOLD_UNKNOWN

    @rule(spent=spends, points=st.integers(1, 1500))
    def restore(self, spent: Spent, points: int) -> None:
        answer = self.run(
            restore(
                self.db,
                redemption_tx=spent.tx_id,
                points=points,
                today=self.today,
                **self.facts(HOTEL),  # type: ignore[arg-type]
            )
        )
        if points > spent.left:
            assert answer.outcome is Outcome.REDEMPTION_EXCEEDED
            return
        assert answer.outcome is Outcome.POSTED
        for i in reversed(range(len(spent.parts))):
            lot, part = spent.parts[i]
            back = min(points, part)
            spent.parts[i] = (lot, part - back)
            lot.remaining += back
            points -= back
            if back and lot.expires_on < self.today:
                lot.expires_on = self.today + timedelta(days=GRACE_DAYS)

    @rule(days=st.integers(1, 3), sweep=st.booleans())
    def tomorrow(self, days: int, sweep: bool) -> None:
        """Days pass and holds lapse; the expiry sweep may or may not have run."""
        self.today += timedelta(days=days)
        self.now += timedelta(days=days)
        self.run(lapse(self.db, now=self.now, business_date=self.today))
        for held in self.open_holds:
            if held.ends_at <= self.now:
                held.left = 0
        if sweep:
            self.expire()

    @rule()
    def expire(self) -> None:
        spared = dict.fromkeys((lot.lot_id for lot in self.lots), 0)
        for held in sorted(self.open_holds, key=lambda h: (h.placed_on, h.hold_id)):
            wanted = held.left
            turns = [(lot.expires_on < held.placed_on, lot.turn(), lot) for lot in self.lots]
            for _, _, lot in sorted(turns, key=lambda turn: turn[:2]):
                part = min(wanted, lot.remaining - spared[lot.lot_id])
                spared[lot.lot_id] += part
                wanted -= part
        expected = 0
        for lot in self.lots:
            if lot.expires_on < self.today:
                expected += lot.remaining - spared[lot.lot_id]
                lot.remaining = spared[lot.lot_id]
        ended = self.run(expire(self.db, today=self.today, now=self.now))
        assert ended.points == expected

    @invariant()
    def books_are_right(self) -> None:
        if not hasattr(self, "db"):
            return
        assert self.run(verify(self.db)) == []
        rows = self.run(
            self.db.execute(
                text("SELECT lot_id, remaining, expires_on FROM lot WHERE member_id = :m"),
                {"m": MEMBER},
            )
        )
        stored = {row.lot_id: (row.remaining, row.expires_on) for row in rows}
        assert stored == {lot.lot_id: (lot.remaining, lot.expires_on) for lot in self.lots}


@pytest.fixture(scope="module")
def machine_url(postgres_url: str, template: str) -> Iterator[str]:
    runner = asyncio.Runner()
    manager = stack.fresh_database(postgres_url, template)
    yield runner.run(manager.__aenter__())
    runner.run(manager.__aexit__(None, None, None))
    runner.close()


def test_every_history_of_verbs_agrees_with_the_model(machine_url: str) -> None:
    Ledger.url = machine_url
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
