"""I10: whatever was merged and split, and in whatever order, each account is as if it never was."""

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.verify import verify
from tests.support.turmoil import Turmoil

STEPS = 220


@pytest.mark.parametrize("seed", range(6))
async def test_split_from_everybody_each_has_what_the_twin_has(
    db: AsyncConnection, seed: int
) -> None:
    town = Turmoil(seed)
    await town.found(db)
    for turn in range(STEPS):
        if await town.step(db) == "split" or turn == STEPS - 1:
            await town.partition_is_right(db)
            assert await town.differences(db) == []
    await town.split_all(db)
    assert await town.differences(db) == []
    assert await verify(db) == []


@pytest.mark.parametrize("seed", range(6))
async def test_who_spent_more_than_their_own_owes_it(db: AsyncConnection, seed: int) -> None:
    town = Turmoil(seed, means=False)
    await town.found(db)
    for _ in range(STEPS):
        if await town.step(db) == "split":
            assert await town.sums(db) == []
    await town.split_all(db)
    assert await town.sums(db) == []
    assert await verify(db) == []
