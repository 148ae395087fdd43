"""What processes remember of the set-up is never what it no longer is."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.configure import configure
from hub.benefits.entitlements.queries import entitlements, grants
from hub.benefits.grant import grant
from hub.benefits.period import period_of
from hub.benefits.reckoned import reckoned
from hub.benefits.setup import forget_setup, read_setup, remembered_setup
from hub.benefits.tiers.promote import promote
from hub.benefits.tiers.standings import HELD
from tests.integration.api_kit import SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid
from tests.integration.test_graphql_tills import by_id
from tests.support.benefits import (
    LADDER,
    SPRING,
    START,
    ZONE,
    late_checkout,
    make_ladder,
    qualify,
    tier,
)  # fmt: skip
from tests.support.businesses import open_businesses
from tests.support.settlement import noon

CARD = """query ($id: ID!) { member(id: $id) { tier { name } lots { issuer { name } }
  entitlements { name remaining offeredAt { name } } } }"""
PERIODS = ["year", "quarter", "month", "week", "anniversary", "lifetime"]
DAYS = st.dates(date(2024, 1, 1), date(2029, 12, 31))
REDEEM = """mutation ($input: RedeemInput!) { redeem(input: $input) {
  ... on Redeemed { transaction available member { tier { name } } } } }"""
JANUARY, MARCH = noon(date(2027, 1, 10)), noon(date(2027, 3, 10))


def renamed(said: str, table: str) -> TextClause:
    return text(f"UPDATE {table} SET name = '{said}'")


async def test_a_card_says_what_the_set_up_says_now(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷")
    await api.buy(Person(member_id=li.member_id, account_id=li.account_id), "shop", 1600)

    async def card() -> tuple[Any, bool]:
        api.served.clear()
        data = await api.data(CARD, STAFF, id=gid("Member", li.member_id))
        return data["member"], not api.served

    first, _ = await card()
    assert await card() == (first, True)  # planned, of what is remembered
    async with api.engine.begin() as db:
        await db.execute(renamed("Shop", "business"))
        before, _ = await card()  # nobody sees what is not committed
        assert before == first
        await db.rollback()
    assert await card() == (first, True)
    async with api.engine.begin() as db:
        await db.execute(text("SET session_replication_role = replica"))  # terms never change
        for table in ("tier_terms", "benefit_terms"):
            await db.execute(renamed(table, table))
        await db.execute(text("SET session_replication_role = origin"))
        await db.execute(renamed("Shop", "business"))
    after, planned = await card()
    assert not planned
    assert (after["tier"], after["lots"][0]) == (
        {"name": "tier_terms"},
        {"issuer": {"name": "Shop"}},
    )
    [one, *_] = after["entitlements"]
    assert (one["name"], one["offeredAt"][0]) == ("benefit_terms", {"name": "Shop"})
    await card()  # it is looked at anew
    assert await card() == (after, True)


async def test_where_the_set_up_cannot_be_read_resolvers_answer_what_a_plan_would(
    api: Api,
) -> None:
    """A till is told of what was posted, too."""
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷")
    await api.buy(li, "shop", 1600)
    query = "{ me { tier { name } lots { issuer { name } } } }"
    asked = {"member": by_id(li), "points": 1, "idempotencyKey": "k-1"}
    redeemed = await api.data(REDEEM, SHOP, input=asked)
    await api.data(query, li.principal)
    async with api.engine.begin() as db:
        await db.execute(renamed("Shop", "business"))
    answer = await api.data(query, li.principal)  # it is to be looked at anew
    async with api.engine.begin() as db:
        await db.execute(text("ALTER TABLE setup_edition RENAME TO away"))
    assert await api.ask(query, li.principal) == {"data": answer}
    assert await api.ask(REDEEM, SHOP, input=asked) == {"data": redeemed}


async def test_who_saw_an_old_edition_has_nobody_forget_a_new_one(db: AsyncConnection) -> None:
    await open_businesses(db, ["CN"])
    old = await read_setup(db, now=SPRING)
    await db.execute(renamed("Shop 1", "business"))
    new = await read_setup(db, now=SPRING)
    forget_setup(db.engine, old.edition)
    assert remembered_setup(db.engine, SPRING) is new
    forget_setup(db.engine, new.edition)
    assert remembered_setup(db.engine, SPRING) is None


async def _quota(db: AsyncConnection, at: datetime) -> list[int]:
    return [one.granted for one in (await entitlements(db, member_ids=[1], now=at))[1]]


async def test_terms_begin_at_their_moment_and_what_was_rolled_back_never_does(
    db: AsyncConnection,
) -> None:
    await make_ladder(db, benefits=[late_checkout(quota=2)])
    await qualify(db, 1, 1200, SPRING, key="sale")
    await promote(db, member_ids=[1], now=SPRING, time_zone=ZONE)
    at = START + timedelta(days=100)
    async with db.begin_nested() as undone:
        await configure(db, tiers=LADDER, benefits=[late_checkout(quota=9, since=SPRING)])
        assert await _quota(db, at) == [9]
        await undone.rollback()
    assert await _quota(db, at) == [2]
    later = late_checkout(quota=5, since=at)
    richer = tier("bronze", "青铜", 20, 1000, since=at + timedelta(days=1))
    await configure(db, tiers=[*LADDER, richer], benefits=[late_checkout(quota=2), later])

    async def said(moment: datetime) -> tuple[int, str]:
        [quota] = await _quota(db, moment)
        [(_, _, _, name_zh, _)] = await reckoned(db, HELD, member_ids=[1], now=moment)
        return quota, name_zh

    second = timedelta(seconds=1)
    assert await said(at - second) == (2, "铜")
    assert await said(at) == (5, "铜")
    assert await said(at + timedelta(days=1)) == (5, "青铜")
    assert await said(at - second) == (2, "铜")


async def test_another_period_from_now_on_has_a_quota_of_its_own(db: AsyncConnection) -> None:
    monthly = late_checkout(quota=1).model_copy(update={"period": "month"})
    await make_ladder(db, benefits=[monthly])
    await qualify(db, 1, 1200, JANUARY, key="sale")
    await promote(db, member_ids=[1], now=JANUARY, time_zone=ZONE)
    yearly = late_checkout(quota=4, since=JANUARY + timedelta(days=1))
    await configure(db, tiers=LADDER, benefits=[monthly, yearly])
    owed = await entitlements(db, member_ids=[1], now=MARCH)
    assert [(e.ends_on, e.granted) for e in owed[1]] == [(date(2027, 12, 31), 4)]
    assert await grant(db, member_ids=[1], now=MARCH, time_zone=ZONE) == 1
    assert await entitlements(db, member_ids=[1], now=MARCH) == owed
    assert [(g.ends_on, g.granted) for g in (await grants(db, member_ids=[1], now=MARCH))[1]] == [
        (date(2027, 12, 31), 4),
        (date(2027, 1, 31), 1),
    ]
    assert await grant(db, member_ids=[1], now=MARCH, time_zone=ZONE) == 0


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15
)
@given(st.lists(st.tuples(st.sampled_from(PERIODS), DAYS, DAYS), min_size=40, max_size=40))
async def test_periods_are_those_of_the_database(
    db: AsyncConnection, asked: list[tuple[str, date, date]]
) -> None:
    asked = [*asked, ("anniversary", date(2025, 2, 28), date(2024, 2, 29))]
    rows = await db.execute(
        text("""SELECT p.starts_on, p.ends_on
          FROM unnest(CAST(:kinds AS text[]), CAST(:days AS date[]), CAST(:joined AS date[]))
            WITH ORDINALITY AS a (kind, day, joined, n)
          CROSS JOIN LATERAL benefit_period(a.kind, a.day, a.joined) p ORDER BY n"""),
        dict(zip(("kinds", "days", "joined"), map(list, zip(*asked, strict=True)), strict=True)),
    )
    assert [period_of(kind, day, joined=joined) for kind, day, joined in asked] == [
        tuple(row) for row in rows
    ]


BENEFIT = st.tuples(
    st.sampled_from(["iron", "bronze", "silver", None]),
    st.integers(0, 3),
    st.sampled_from(PERIODS),
    st.sampled_from(["suspend", "end", "keep_period"]),
)


@pytest.mark.parametrize("points", [500, 1200, 2500])
@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8
)
@given(versions=st.lists(st.lists(BENEFIT, min_size=3, max_size=3), min_size=1, max_size=3),
       days=st.lists(st.integers(1, 200), min_size=3, max_size=3))  # fmt: skip
async def test_what_is_owed_is_what_is_granted(
    db: AsyncConnection, points: int, versions: list[list[Any]], days: list[int]
) -> None:
    """A card says the same before quotas of tiers are granted and after, whatever the terms."""
    async with db.begin_nested() as undone:
        await make_ladder(db, benefits=[])
        await qualify(db, 1, points, SPRING, key="sale")
        await promote(db, member_ids=[1, 2], now=SPRING, time_zone=ZONE)
        at, terms = SPRING, []
        for version, after in zip(versions, days, strict=False):
            terms += [
                late_checkout(since=at).model_copy(
                    update={"code": f"b-{n}", "tier": tier_code, "period": period,
                            "quota": quota if tier_code else 0, "on_loss": on_loss})
                for n, (tier_code, quota, period, on_loss) in enumerate(version)
            ]  # fmt: skip
            await configure(db, tiers=LADDER, benefits=terms)
            at += timedelta(days=after)
            owed = await entitlements(db, member_ids=[1, 2], now=at)
            await grant(db, member_ids=[1, 2], now=at, time_zone=ZONE)
            assert await entitlements(db, member_ids=[1, 2], now=at) == owed
        await undone.rollback()
