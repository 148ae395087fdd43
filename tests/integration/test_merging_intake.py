"""Facts that come late, of people who were merged or split since."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.sandbox.shop import quantities_of
from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from hub.members.family import family
from tests.integration.test_erase import HAN, LI, NOWHERE, member_of, order, sent, sound, taken
from tests.support.ledger import NOON
from tests.support.sandbox import Hub


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str) -> Hub:
    made = Hub(engine, database_url)
    await made.configure(NOWHERE)
    return made


async def posted(hub: Hub) -> dict[object, object]:
    return dict(await hub.rows("SELECT member_id, posted FROM balance WHERE unit = 1"))


@pytest.mark.parametrize("parted", [False, True])
async def test_a_refund_has_its_effect_on_whose_account_it_was(hub: Hub, parted: bool) -> None:
    before, other, during = order(1, HAN), order(2), order(3, HAN)
    await taken(hub, sent(other))
    await taken(hub, sent(before))
    li, han = await member_of(hub, LI), await member_of(hub, HAN)
    had = await posted(hub)
    facts = {"actor": "mei", "now": NOON, "reason": "one passport"}
    async with hub.engine.begin() as db:
        await merge_members(db, member_ids=[li, han], method="staff", **facts)
        accounts = (await family(db, member_id=li)).accounts
    await taken(hub, sent(during))
    assert (await posted(hub))[han] == 0
    if parted:
        async with hub.engine.begin() as db:
            leaving = [one.account_id for one in accounts if one.born_id == han]
            await split_members(db, member_id=li, account_ids=leaving, **facts)
    for placed in (before, during):
        lines = range(len(placed.lines))
        placed.refund(NOON + timedelta(hours=1), quantities_of(placed, list(lines)))
        await taken(hub, sent(placed, "orders/updated"))
    assert await posted(hub) == {li: had[li], han: 0}
    assert await hub.rows("SELECT 1 FROM shortfall") == []
    await sound(hub)


async def test_the_same_facts_again_change_nothing_after_a_merge(hub: Hub) -> None:
    placed = order(1, HAN)
    await taken(hub, sent(placed), sent(order(2)))
    li, han = await member_of(hub, LI), await member_of(hub, HAN)
    async with hub.engine.begin() as db:
        await merge_members(db, member_ids=[li, han], method="batch", actor="batch", now=NOON,
            second_account=True)  # fmt: skip
    had = await posted(hub)
    await taken(hub, sent(placed), copy=1)
    assert await posted(hub) == had
    await sound(hub)
