"""Whatever is asked of quotas, in whatever order and however often: a model says what is left."""

import asyncio
import os
import random
from datetime import date, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.entitlements.cancel_use import cancel_use
from hub.benefits.entitlements.expire import expire
from hub.benefits.entitlements.grant_entitlement import grant_entitlement
from hub.benefits.entitlements.hold import hold
from hub.benefits.entitlements.lapse import lapse
from hub.benefits.entitlements.release import release
from hub.benefits.entitlements.requests import UseAnswer, UseOutcome
from hub.benefits.entitlements.use_held import use_held
from hub.benefits.entitlements.verify import CHECKS, check
from hub.benefits.use import use
from tests.support.benefits import ZONE, late_checkout, make_ladder
from tests.support.settlement import noon

EXAMPLES = int(os.environ.get("HUB_QUOTA_EXAMPLES", "15"))
FIRST = date(2026, 7, 1)
STEP = st.tuples(
    st.sampled_from(["grant", "use", "hold", "capture", "release", "cancel", "repeat", "wait"]),
    st.integers(1, 3),
    st.integers(0, 5),
)


async def ask(db: AsyncConnection, verb: Any, business_id: int, key: str, at: Any, **other: Any):
    if verb in (use, hold):
        other = {"member_id": 1, "benefit_code": "late-checkout", **other}
    if verb is hold:
        other["ttl_seconds"] = 3 * 24 * 3600
    return await verb(db, business_id=business_id, idempotency_key=key, now=at, **other)


async def _grant(db: AsyncConnection, quantity: int, day: date, days: int, name: str) -> None:
    await grant_entitlement(
        db, member_id=1, benefit_code="late-checkout", quantity=quantity, source="campaign",
        source_id=name, starts_on=day, ends_on=day + timedelta(days=days), now=noon(day),
    )  # fmt: skip


async def sound(db: AsyncConnection) -> None:
    assert [await check(db, name) for name in CHECKS] == [None] * len(CHECKS)


class Model:
    """What is free by its last day; what was held and used, and from which day's quota."""

    def __init__(self) -> None:
        self.free: dict[date, int] = {}
        self.parts: dict[int, list[date]] = {}
        self.until: dict[int, date] = {}

    def sweep(self, today: date) -> None:
        self.free = {ends: n for ends, n in self.free.items() if ends >= today}

    def take(self, number: int, quantity: int, today: date) -> bool:
        self.sweep(today)
        if sum(self.free.values()) < quantity:
            return False
        units = [ends for ends in sorted(self.free) for _ in range(self.free[ends])][:quantity]
        for ends in units:
            self.free[ends] -= 1
        self.parts[number] = units
        return True

    def give_back(self, number: int, quantity: int, today: date, *, last_first: bool) -> None:
        units = sorted(self.parts[number], reverse=last_first)
        self.parts[number] = units[quantity:]
        for ends in units[:quantity]:
            self.free[ends] = self.free.get(ends, 0) + 1
        self.sweep(today)


@settings(max_examples=EXAMPLES, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(steps=st.lists(STEP, min_size=5, max_size=25))
async def test_a_model_says_what_is_left(
    db: AsyncConnection, steps: list[tuple[str, int, int]]
) -> None:
    async with db.begin_nested() as example:
        await _follow(db, steps)
        await example.rollback()


async def _follow(db: AsyncConnection, steps: list[tuple[str, int, int]]) -> None:
    ids = await make_ladder(db, benefits=[late_checkout()])
    hotel, day, model = ids["hotel"], FIRST, Model()
    held: list[int] = []
    used: list[int] = []
    last: tuple[Any, dict[str, Any], UseAnswer] | None = None
    for n, (what, quantity, which) in enumerate(steps):
        verb: Any = {"use": use, "hold": hold, "capture": use_held, "release": release,
                     "cancel": cancel_use}.get(what)  # fmt: skip
        of = used if what == "cancel" else held
        if what == "wait":
            day += timedelta(days=1)
            await lapse(db, now=noon(day))
            for number in held:
                if model.until[number] <= day and model.parts[number]:
                    model.give_back(number, len(model.parts[number]), day, last_first=False)
            await expire(db, today=day, now=noon(day), time_zone=ZONE)
            model.sweep(day)
        elif what == "grant":
            await _grant(db, quantity, day, which, f"campaign-{n}")
            model.free[day + timedelta(days=which)] = (
                model.free.get(day + timedelta(days=which), 0) + quantity
            )
        elif what == "repeat":
            if last is not None:
                again = await ask(db, last[0], hotel, at=noon(day), **last[1])
                assert again.replayed
                assert (again.outcome, again.use_id) == (last[2].outcome, last[2].use_id)
        elif verb in (use, hold):
            asked: dict[str, Any] = {"key": f"k{n}", "quantity": quantity}
            answer = await ask(db, verb, hotel, at=noon(day), **asked)
            done = answer.outcome in (UseOutcome.USED, UseOutcome.HELD)
            assert done == model.take(answer.use_id, quantity, day)
            if done:
                (used if verb is use else held).append(answer.use_id)
                model.until[answer.use_id] = day + timedelta(days=3)
            last = (verb, asked, answer)
        elif of:
            number = of[which % len(of)]
            name = "use_id" if verb is cancel_use else "hold_id"
            asked = {"key": f"k{n}", "quantity": quantity, name: number}
            answer = await ask(db, verb, hotel, at=noon(day), **asked)
            done = len(model.parts[number]) >= quantity
            assert done == (answer.outcome.value in ("used", "released", "cancelled"))
            if done and verb is use_held:
                units = sorted(model.parts[number])
                model.parts[number] = units[quantity:]
                model.parts[answer.use_id] = units[:quantity]
                used.append(answer.use_id)
            elif done:
                model.give_back(number, quantity, day, last_first=verb is cancel_use)
            last = (verb, asked, answer)
        free = await db.scalar(
            text("SELECT coalesce(sum(free), 0) FROM entitlement WHERE ends_on >= :day"),
            {"day": day},
        )
        assert free == sum(model.free.values())
    await sound(db)


async def test_thirty_two_tills_never_use_more_than_was_granted(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        ids = await make_ladder(db, benefits=[late_checkout()])
        for n in range(4):
            await _grant(db, 3, FIRST, n, f"campaign-{n}")
    at = noon(FIRST)
    outcomes: list[UseOutcome] = []

    async def client(n: int) -> None:
        chance = random.Random(n)
        business_id = ids["hotel"] if n % 2 else ids["dining"]

        async def one(verb: Any, key: str, **other: Any) -> UseAnswer:
            async with engine.begin() as db:
                found: UseAnswer = await ask(db, verb, business_id, key, at, **other)
                outcomes.append(found.outcome)
                return found

        for turn in range(4):
            key = f"{n}-{turn}"
            taken = await one(hold if chance.random() < 0.5 else use, key, quantity=2)
            if taken.outcome is UseOutcome.HELD:
                name = chance.choice(["release", "use"])
                verb = release if name == "release" else use_held
                ended = await one(verb, f"{key}-{name}", hold_id=taken.use_id, quantity=1)
                if ended.kind == "capture":
                    taken = ended
            first = UseOutcome.CANCELLED not in outcomes  # whoever it is, one cancels
            if taken.outcome is UseOutcome.USED and (chance.random() < 0.7 or first):
                # Twice at once, under one key: one effect.
                asked = {"use_id": taken.use_id, "quantity": 1}
                pair = [one(cancel_use, f"{key}-c", **asked) for _ in range(2)]
                assert len({a.use_id for a in await asyncio.gather(*pair)}) == 1

    await asyncio.gather(*(client(n) for n in range(32)))
    assert UseOutcome.QUOTA_USED in outcomes
    assert UseOutcome.CANCELLED in outcomes
    async with engine.begin() as db:
        await sound(db)
        row = (
            await db.execute(
                text("""
                  SELECT sum(granted), min(free), sum(used) FROM entitlement""")
            )
        ).one()
        assert row[0] == 12
        assert row[1] >= 0
        net = await db.scalar(
            text("""
              SELECT sum(CASE outcome WHEN 'used' THEN quantity WHEN 'cancelled' THEN -quantity
                ELSE 0 END) FROM entitlement_use""")
        )
        assert net == row[2]
