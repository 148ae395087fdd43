"""Whatever is said, bought, given back, merged and split: what counts follows from what is so."""

import asyncio
import os
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.referrals.refer import ReferralRefused
from hub.benefits.referrals.verify import CHECKS, check
from hub.errors import Rejected
from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from tests.support.benefits import SPRING
from tests.support.referrals import Town, terms

EXAMPLES = int(os.environ.get("HUB_REFERRAL_EXAMPLES", "10"))
PEOPLE, LAST = 3, 6
REFUSED = {"say": ReferralRefused, "merge": Rejected, "split": Rejected}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STEP = st.tuples(
    st.sampled_from(["say", "say", "buy", "buy", "buy", "back", "merge", "split"]),
    st.integers(0, PEOPLE - 1),
    st.integers(0, PEOPLE - 1),
    st.integers(0, LAST),
)


class Model:
    """What was bought and given back: what counts follows from it and from who is who."""

    def __init__(self) -> None:
        self.bills: dict[str, tuple[int, datetime]] = {}
        self.back: Counter[str] = Counter()

    def bought(self, accounts: set[int]) -> list[tuple[datetime, bool]]:
        """When these accounts bought, and whether what is left of it qualifies."""
        return [
            (at, 150_00 - self.back[key] >= 100_00)
            for key, (account, at) in self.bills.items()
            if account in accounts
        ]

    async def expected(self, db: AsyncConnection) -> list[str]:
        rows = (await db.execute(text("SELECT * FROM referral ORDER BY referral_id"))).all()
        held = (await db.execute(text("SELECT account_id, account_holder(account_id) AS m "
                                      "FROM account"))).all()  # fmt: skip
        holder = {row.account_id: row.m for row in held}
        said, seen = [], set()
        for row in rows:
            who = holder[row.referred_account_id]
            bought = self.bought({account for account, m in holder.items() if m == who})
            if holder[row.referrer_account_id] == who:
                said.append("same_person")
            elif any(at < row.said_at for at, _ in bought):
                said.append("known_before")
            elif who in seen:
                said.append("referred_before")
            elif any(good and row.said_at <= at < row.said_at + 5 * DAY for at, good in bought):
                said.append("counted")
            else:
                said.append("waiting")
            seen.add(who)
        return said


async def _step(town: Town, model: Model, accounts: list[int], n: int, step: Any) -> None:
    kind, a, b, days = step
    now = SPRING + (20 + n) * DAY
    one, other = accounts[a], accounts[b]
    if kind == "say":
        await town.say(one, other, SPRING + days * DAY, now)
    elif kind == "buy":
        at = SPRING + days * DAY + HOUR
        model.bills[f"b{n}"] = (one, at)
        await town.buy(one, f"b{n}", 150_00, at, seen=now)
    elif kind == "back" and model.bills:
        key = sorted(model.bills)[days % len(model.bills)]
        model.back[key] += 30_00
        await town.give_back(model.bills[key][0], key, f"r{n}", 30_00, now)
    elif kind in ("merge", "split"):
        who = [await town.member(account) for account in (one, other)]
        if kind == "merge":
            await merge_members(
                town.db, member_ids=who, method="staff", actor="ann", now=now,
                despite_non_match=True,
            )  # fmt: skip
        else:
            await split_members(
                town.db, member_id=who[0], account_ids=[one], actor="ann", now=now, reason="two"
            )


async def _play(db: AsyncConnection, steps: list[Any]) -> None:
    town, model = await Town.open(db, terms(buy_within_days=5)), Model()
    accounts = [await town.come(f"p{n}") for n in range(PEOPLE)]
    for n, step in enumerate(steps):
        try:
            async with db.begin_nested():
                await _step(town, model, accounts, n, step)
        except REFUSED.get(step[0], ()):
            pass
        assert await town.outcomes() == await model.expected(db), (n, step)
    assert [await check(db, name) for name in CHECKS] == [None] * len(CHECKS)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEP, min_size=8, max_size=20))
async def test_what_counts_follows_from_what_is_so(db: AsyncConnection, steps: list[Any]) -> None:
    async with db.begin_nested() as example:
        await _play(db, steps)
        await example.rollback()


async def test_of_many_friends_who_buy_at_once_no_more_count_than_may(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        town = await Town.open(db, terms(most=3))
        boss = await town.come("boss")
        friends = [await town.come(f"f{n}") for n in range(8)]

    async def client(n: int, friend: int) -> None:
        async with engine.begin() as db:
            here = Town(db, town.ids)
            steps = [here.say(friend, boss), here.buy(friend, f"s{n}")]
            for step in reversed(steps) if n % 2 else steps:
                await step

    # Each says it twice at once, in half of the cases after they have bought.
    await asyncio.gather(*(client(n, friends[n % 8]) for n in range(8)),
                         *(client(n + 8, friends[n]) for n in range(8)))  # fmt: skip
    async with engine.begin() as db:
        outcomes = Counter(await Town(db, town.ids).outcomes())
        assert outcomes == {"counted": 3, "over_limit": 5}
        assert await Town(db, town.ids).counted(boss) == 3
        assert await Town(db, town.ids).tier(boss) == "gold"
