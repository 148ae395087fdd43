"""Refunds of a bill in any parts, order and number: together they undo exactly what it did."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import CanonicalEvent
from hub.ledger.verify import verify
from tests.support.refunds import Shops, bill, heard, open_shops, refund, spend

ON_A_REAL_DATABASE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@dataclass(frozen=True)
class Parts:
    """A bill's lines, and refunds that give all of it back between them, as they arrive."""

    nets: list[int]
    arriving: list[CanonicalEvent]


@st.composite
def parts_of(draw: st.DrawFn, *, by_line: bool = True) -> Parts:
    """Refunds by line (if so asked) and by amount, in any order, some of them more than once."""
    nets = draw(st.lists(st.integers(1, 20_000), min_size=1, max_size=4))
    whole = {str(n): net for n, net in enumerate(nets)}
    refunds: list[CanonicalEvent] = []
    for sold, net in whole.items():
        for minor in cut(draw, net):
            number = f"R{len(refunds)}"
            named = {sold: minor} if by_line and draw(st.booleans()) else {}
            refunds.append(refund(number, "S", minor, nets=named))
    again = draw(st.lists(st.sampled_from(refunds), max_size=3))
    return Parts(nets, draw(st.permutations([*refunds, *again])))


def cut(draw: st.DrawFn, whole: int) -> list[int]:
    """Cut a number into up to three parts."""
    at = sorted(draw(st.lists(st.integers(0, whole), max_size=2)))
    edges = [0, *at, whole]
    return [b - a for a, b in pairwise(edges) if b > a]


@pytest.fixture
async def shops(db: AsyncConnection) -> Shops:
    return await open_shops(db)


@asynccontextmanager
async def rolled_back(db: AsyncConnection) -> AsyncIterator[None]:
    async with db.begin_nested() as attempt:
        yield
        await attempt.rollback()


async def told(shops: Shops) -> list[tuple[int, int, int]]:
    """What the sale earned, what its refunds took back, and what is left in its lot."""
    rows = await shops.db.execute(
        text("""
          SELECT l.earned, coalesce((SELECT sum(points) FROM entry e WHERE e.lot_id = l.lot_id
            AND e.credit = 40 AND e.unit = 1), 0)::bigint, l.remaining
          FROM lot l""")
    )
    return [tuple(row) for row in rows]


@given(parts=parts_of(), comes=st.integers(0, 20))
@ON_A_REAL_DATABASE
async def test_parts_take_back_exactly_what_was_earned_whatever_their_order(
    shops: Shops, parts: Parts, comes: int
) -> None:
    """The sale itself comes anywhere among its refunds."""
    sale = bill("S", *parts.nets)
    async with rolled_back(shops.db):
        order = [*parts.arriving[:comes], sale, *parts.arriving[comes:]]
        for one in order:
            await shops.hear("hotel", one)
        earned = sum(parts.nets) // 100
        assert await told(shops) == ([(earned, earned, 0)] if earned else [])
        qualifying = await shops.db.scalar(text("SELECT sum(posted) FROM balance WHERE unit = 2"))
        assert qualifying in (0, None)
        assert await verify(shops.db) == []


@given(parts=parts_of(), held=st.integers(0, 20))
@ON_A_REAL_DATABASE
async def test_a_batch_ends_as_one_by_one(shops: Shops, parts: Parts, held: int) -> None:
    sale = bill("S", *parts.nets)
    some = [*parts.arriving[:held], sale]
    found = []
    for batches in ([[one] for one in some], [some]):
        async with rolled_back(shops.db):
            for batch in batches:
                await shops.hear("hotel", *batch)
            found.append(await told(shops))
            assert await verify(shops.db) == []
    assert found[0] == found[1]


@given(parts=parts_of(by_line=False), spent=st.integers(1, 100))
@ON_A_REAL_DATABASE
async def test_parts_give_back_exactly_the_points_that_paid_whatever_their_order(
    shops: Shops, parts: Parts, spent: int
) -> None:
    """A bill at the shop, paid in the hotel's points, and refunds that do not say in what."""
    total = sum(parts.nets)
    async with rolled_back(shops.db):
        await heard("hotel", bill("H", 10_000))(shops)
        await spend("retail", spent)(shops)
        await shops.hear("retail", *parts.arriving[:2])
        await shops.hear("retail", bill("S", *parts.nets, points=total))
        for one in parts.arriving:
            await shops.hear("retail", one)
        assert (await shops.books(close_month=False)).balance == (100, 0, 0, 100)
