"""Whatever is bought, given back, waited for and judged: the tier held is what the rules give."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.configure import configure
from hub.benefits.tiers.configure import Asks
from hub.benefits.tiers.count_refund import count_refund
from hub.benefits.tiers.count_sales import CountedSale, count_sales
from hub.benefits.tiers.promote import promote
from hub.benefits.tiers.requalify import requalify
from tests.integration.test_tiers_periods import ladder, rung
from tests.support.benefits import ZONE
from tests.support.settlement import make_group, noon

JOINED, BEGIN = date(2024, 2, 29), date(2026, 1, 15)
REACH, KEEP = (0, 100, 250), (0, 60, 150)
CODES = ("base", "middle", "top")
EVER = date.max


@dataclass
class Held:
    """What the model remembers of a tier that was given. `window` None: it is kept for sure."""

    tier: int
    window: tuple[date, date] | None
    held_to: date
    valid_until: date
    ended_on: date | None = None


@dataclass
class Model:
    """The rules again, for one member, one sale and one tier at a time."""

    kind: str
    grace: int
    one_step: bool
    today: date = BEGIN
    refunds: int = 0
    sales: list[tuple[date, int, int]] = field(default_factory=list)
    rows: list[Held] = field(default_factory=list)

    def window(self, day: date) -> tuple[date, date]:
        if self.kind == "calendar_year":
            return date(day.year, 1, 1), date(day.year, 12, 31)
        if self.kind == "rolling":
            return months(day, -6) + timedelta(days=1), day
        year = day.year if birthday(day.year) <= day else day.year - 1
        return birthday(year), birthday(year + 1) - timedelta(days=1)

    def held_to(self, day: date) -> date:
        if self.kind == "rolling":
            return months(day, 6)
        return self.window(self.window(day)[1] + timedelta(days=1))[1]

    def left(self, days: tuple[date, date]) -> int:
        return sum(p - back for day, p, back in self.sales if days[0] <= day <= days[1])

    def held(self) -> Held | None:
        return next((row for row in self.rows if row.ended_on is None), None)

    def judge(self) -> None:
        while True:
            held, due = self.held(), self.due()
            over = held is not None and held.valid_until < self.today
            if held and held.tier == due.tier and not over:
                return
            if held:
                held.ended_on = self.today
            self.rows.append(due)

    def due(self) -> Held:
        now = self.window(self.today)
        found = []
        for row in self.rows:
            if row.valid_until >= self.today and (self.sure(row) or self.borne(row)):
                found.append(Held(row.tier, row.window, row.held_to, row.valid_until))
        for tier, asked in enumerate(REACH):
            if self.left(now) >= asked:
                to = self.held_to(self.today)
                window = (now[0], to if self.kind == "rolling" else now[1])
                found.append(self.given(tier, window, to))
        held = self.held()
        if held is not None and held.valid_until < self.today:
            done = self.left((self.window(held.held_to)[0], held.valid_until))
            tier = held.tier
            if done < KEEP[tier]:
                tier -= 1
                while not self.one_step and done < KEEP[tier]:
                    tier -= 1
            found.append(self.given(tier, None, self.held_to(held.held_to)))
        return max(found, key=lambda row: (row.tier, row.valid_until))

    def given(self, tier: int, window: tuple[date, date] | None, to: date) -> Held:
        if tier == 0:
            return Held(0, None, EVER, EVER)
        return Held(tier, window, to, to + timedelta(days=self.grace))

    def sure(self, row: Held) -> bool:
        if row.window is None:
            return True
        over = row.window[1] < self.today
        return over and (row.ended_on is None or row.ended_on > row.window[1])

    def borne(self, row: Held) -> bool:
        return row.window is not None and self.left(row.window) >= REACH[row.tier]


def birthday(year: int) -> date:
    leap = year % 4 == 0
    return date(year, 2, 29 if leap else 28)


def months(day: date, by: int) -> date:
    count = day.year * 12 + day.month - 1 + by
    year, month = divmod(count, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise AssertionError


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), st.sampled_from([30, 60, 100, 160, 250])),
        st.tuples(st.just("refund"), st.integers(0, 9), st.sampled_from([10, 100, 250])),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 100, 182, 200, 366, 500])),
        st.tuples(st.just("night")),
    ),
    min_size=4,
    max_size=14,
)
SETTINGS = settings(
    max_examples=int(os.environ.get("HUB_TIERS_EXAMPLES", "30")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@asynccontextmanager
async def rolled_back(db: AsyncConnection) -> AsyncIterator[None]:
    async with db.begin_nested() as attempt:
        yield
        await attempt.rollback()


@pytest.fixture
async def town(db: AsyncConnection) -> AsyncConnection:
    await make_group(db, [])
    await db.execute(
        text("""
          WITH born AS (
            INSERT INTO member (member_id, created_at) VALUES (1, :joined) RETURNING member_id
          ), known AS (
            INSERT INTO account (account_id, business_id, external_id, created_at)
            OVERRIDING SYSTEM VALUE VALUES (1, 1, 'c', :joined) RETURNING account_id
          )
          INSERT INTO account_link (account_id, member_id, method, valid)
          SELECT account_id, member_id, 'birth', tstzrange(:joined, NULL) FROM born, known"""),
        {"joined": noon(JOINED)},
    )
    return db


async def climb(db: AsyncConnection, model: Model) -> None:
    await promote(db, member_ids=[1], now=noon(model.today), time_zone=ZONE)
    model.judge()


async def apply(db: AsyncConnection, model: Model, step: tuple[object, ...]) -> None:
    match step:
        case ("buy", int(points)):
            key = str(len(model.sales))
            model.sales.append((model.today, points, 0))
            sale = CountedSale(
                account_id=1, business_id=1, business_date=model.today, key=key, currency="CNY",
                occurred_at=noon(model.today), spend_minor=points, paid_minor=points,
            )  # fmt: skip
            await count_sales(db, sales=[sale])
            await climb(db, model)
        case ("refund", int(n), int(points)) if model.sales:
            n %= len(model.sales)
            day, sold, back = model.sales[n]
            model.sales[n] = (day, sold, min(sold, back + points))
            model.refunds += 1
            await count_refund(
                db, account_id=1, sale=str(n), key=f"r{model.refunds}", refunded_minor=points,
                occurred_at=noon(model.today),
            )  # fmt: skip
            await climb(db, model)
        case ("wait", int(days)):
            model.today += timedelta(days=days)
        case ("night",):
            held = model.held()
            if held is not None and held.valid_until < model.today:
                model.judge()
            while await requalify(db, now=noon(model.today), time_zone=ZONE) is not None:
                pass


@given(
    steps=STEPS,
    kind=st.sampled_from(["calendar_year", "rolling", "anniversary"]),
    grace=st.sampled_from([0, 20]),
    one_step=st.booleans(),
)
@SETTINGS
async def test_the_tier_held_is_what_the_rules_give(
    town: AsyncConnection,
    steps: list[tuple[object, ...]],
    kind: str,
    grace: int,
    one_step: bool,
) -> None:
    model = Model(kind, grace, one_step)
    async with rolled_back(town):
        terms = ladder(
            currency="CNY", window=kind, months=6 if kind == "rolling" else 12, grace_days=grace,
            step_down="one_step" if one_step else "to_qualified",
        )  # fmt: skip
        tiers = [
            rung(code, rank, reach={"spend_minor": REACH[rank]}, keep=Asks(spend_minor=KEEP[rank]))
            for rank, code in enumerate(CODES)
        ]
        await configure(town, ladders=[terms], tiers=tiers, benefits=[])
        for step in steps:
            await apply(town, model, step)
            held = model.held()
            rows = await town.execute(
                text("""
                  SELECT code, coalesce(valid_until, :ever) FROM member_tier
                  JOIN tier USING (tier_id) WHERE until IS NULL"""),
                {"ever": EVER},
            )
            expected = [(CODES[held.tier], held.valid_until)] if held else []
            assert [tuple(row) for row in rows] == expected
