"""Who has changed is told by snapshot: late commits are not left out, and nobody is told twice."""

from sqlalchemy import text

from hub.clock import now
from hub.egress.changed_members import ChangedMembers, changed_members
from hub.points.redeem import redeem
from tests.integration.api_kit import Api


async def looked(api: Api, since: str | None, *, most: int = 100) -> ChangedMembers:
    async with api.engine.connect() as db:
        return await changed_members(db, since=since, most=most)


async def test_without_a_look_before_it_may_be_anybody(api: Api) -> None:
    first = await looked(api, None)
    assert first.all_of_them
    second = await looked(api, first.seen)
    assert not second.all_of_them
    assert second.member_ids == set()


async def test_each_is_told_once_after_the_commit_however_late(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613800000001", name="Li")
    wu = await api.join("shop", "c-2", phone="+8613800000002", name="Wu")
    await api.buy(li, "shop", 50)
    seen = (await looked(api, None)).seen
    async with api.engine.connect() as late:
        await late.execute(text("SELECT txid_current()"))
        await api.buy(wu, "shop", 50)
        second = await looked(api, seen)
        assert second.member_ids == {wu.member_id}
        # It began before the look, and commits after it.
        at = now()
        await redeem(
            late,
            business_id=api.ids["shop"],
            member_id=li.member_id,
            account_id=li.account_id,
            points=10,
            idempotency_key="late",
            occurred_at=at,
            business_date=at.date(),
            today=at.date(),
            now=at,
        )
        assert (await looked(api, second.seen)).member_ids == set()
        await late.commit()
    third = await looked(api, second.seen)
    assert third.member_ids == {li.member_id}
    assert (await looked(api, third.seen)).member_ids == set()


async def test_too_many_are_all_of_them(api: Api) -> None:
    seen = (await looked(api, None)).seen
    for n in range(3):
        person = await api.join("shop", f"c-{n}", phone=f"+861380000000{n}", name="Li")
        await api.buy(person, "shop", 50)
    assert len((await looked(api, seen, most=3)).member_ids) == 3
    assert (await looked(api, seen, most=2)).all_of_them
