"""Many at once who merge, split, earn, spend and refund the same few people."""

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.errors import Rejected, Unavailable
from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from hub.ledger.codes import Outcome
from hub.ledger.post import post_earns
from hub.ledger.verify import verify
from hub.members.queries import current_members
from hub.members.standing import lock_people
from hub.points.capture import capture
from hub.points.hold import hold
from hub.points.redeem import redeem
from hub.points.restore import restore
from tests.support.ledger import NOON, TODAY, lot
from tests.support.turmoil import Turmoil

PEOPLE = range(1, 7)
CLIENTS, TURNS = 6, 30


class Client:
    """One of them; what it did is counted by the account that acted."""

    def __init__(self, number: int, acted: Counter[int]) -> None:
        self.number, self.acted, self.dice = number, acted, Random(number)
        self.spent: list[tuple[int, int, int]] = []

    async def act(self, db: AsyncConnection, key: str) -> tuple[int, int]:
        """Do something; returns whose points changed by how many."""
        person = self.dice.choice(PEOPLE)
        facts = {"idempotency_key": key, "occurred_at": NOON, "business_date": TODAY, "now": NOON,
            "business_id": 1}  # fmt: skip
        points = self.dice.randint(1, 60)
        match self.dice.choice(["earn", "earn", "spend", "hold", "restore", "merge", "split"]):
            case "earn":
                # As resolution does: whose the account is stands still until the points are posted.
                await lock_people(db, accounts=[(1, f"c-{person}")], identifiers=[])
                now_is = (await current_members(db, member_ids=[person]))[person]
                asked = replace(lot(person, points, key=key), member_id=now_is)
                await post_earns(db, [asked], now=NOON)
                return person, points
            case "spend":
                answer = await redeem(db, **facts, member_id=person, points=points, today=TODAY,
                    account_id=person * 10 + 1)  # fmt: skip
                if answer.outcome is Outcome.POSTED:
                    self.spent.append((person, answer.tx_id, points))
                    return person, -points
            case "hold":
                held = await hold(db, **facts, member_id=person, points=points, today=TODAY,
                    account_id=person * 10 + 1, ttl_seconds=60)  # fmt: skip
                if held.outcome is Outcome.POSTED:
                    taken = await capture(
                        db,
                        **{**facts, "idempotency_key": f"{key}-c"},
                        member_id=person,
                        hold_id=held.tx_id,
                    )
                    assert taken.outcome is Outcome.POSTED
                    return person, -points
            case "restore":
                if self.spent:
                    who, number, spent = self.spent[-1]
                    answer = await restore(db, **facts, member_id=who, redemption_tx=number,
                        points=spent, today=TODAY)  # fmt: skip
                    self.spent.pop()
                    return who, spent if answer.outcome is Outcome.POSTED else 0
            case "merge":
                other = self.dice.choice(PEOPLE)
                await merge_members(db, member_ids=[person, other], method="staff", actor="mei",
                    now=NOON, despite_non_match=True)  # fmt: skip
            case "split":
                await split_members(db, member_id=person, account_ids=[person * 10 + 1],
                    actor="mei", now=NOON, reason="two people")  # fmt: skip
        return person, 0

    async def run(self, engine: AsyncEngine, said: Counter[str]) -> None:
        async with engine.connect() as db:
            for turn in range(TURNS):
                spent = list(self.spent)
                try:
                    async with db.begin():
                        person, points = await self.act(db, f"{self.number}-{turn}")
                    self.acted[person] += points
                except (Rejected, Unavailable) as no:
                    self.spent = spent
                    said[no.code] += 1
                except DBAPIError as failure:
                    self.spent = spent
                    said[getattr(failure.orig, "sqlstate", "?")] += 1


async def test_whatever_meets_the_books_are_right_and_nobody_waits_in_a_circle(
    engine: AsyncEngine,
) -> None:
    acted: Counter[int] = Counter()
    said: Counter[str] = Counter()
    town = Turmoil(1, people=len(PEOPLE), means=False)
    async with engine.begin() as db:
        await town.found(db)
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(Client(number, acted).run(engine, said))
    # Asked again, these would do: a balance that was just merged away, or a change in between.
    known = {"same_member", "cannot_split", "held_across", "unavailable", "23514", "40001"}
    assert set(said) <= known, said
    async with engine.begin() as db:
        assert await verify(db) == []
        for person in PEOPLE:
            now_is = (await current_members(db, member_ids=[person]))[person]
            if person != now_is:
                await split_members(db, member_id=now_is, account_ids=[person * 10 + 1],
                    actor="mei", now=NOON, reason="the end")  # fmt: skip
        assert await verify(db) == []
        rows = await db.execute(
            text("""
              SELECT member_id, posted - coalesce((SELECT sum(points - settled) FROM shortfall s
                WHERE s.member_id = b.member_id AND s.mode = 2), 0) AS points
              FROM balance b WHERE unit = 1 AND posted <> 0 OR EXISTS (
                SELECT 1 FROM shortfall s WHERE s.member_id = b.member_id AND b.unit = 1)""")
        )
        has = {row.member_id: int(row.points) for row in rows}
        assert {p: n for p, n in has.items() if n} == {p: n for p, n in acted.items() if n}
