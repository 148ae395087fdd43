"""Birthdays and anniversaries: on the member's own day, exactly once a year, whatever happens."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.configure import configure
from hub.benefits.definitions import BenefitConfig
from hub.benefits.occasions.actors import give_all
from hub.benefits.occasions.configure import OccasionConfig, configure_occasions
from hub.benefits.occasions.give_occasions import GivenChunk, give_occasions
from hub.benefits.occasions.queries import occasion_grants, occasion_terms
from hub.benefits.vouchers.configure import configure_campaigns
from hub.clock import now
from hub.connector import Hint, HintType
from hub.crypto.keyring import Keyring
from hub.errors import Conflict, NotFound
from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from hub.jobs.runtime import Runtime
from hub.ledger.verify import verify
from hub.members.index_birthdays import index_birthdays
from hub.members.pin_attribute import pin_attribute
from hub.members.resolve import Sighting, resolve
from hub.programme.apply import (
    BusinessConfig,
    EarningRuleConfig,
    GroupConfig,
    ProgrammeConfig,
    apply,
)
from hub.programme.policy_config import ExpiryPolicyConfig
from hub.rights.erase import erase
from hub.rights.export import export
from tests.support.vouchers import campaign

KEYRING = Keyring.generate()
START = datetime(2020, 1, 1, tzinfo=UTC)
ZONES = {"retail": "Asia/Shanghai", "hotel": "America/Los_Angeles"}
SHANGHAI = ZoneInfo(ZONES["retail"])


def at(day: date, hour: int = 9, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=zone).astimezone(UTC)


def occasion(code: str = "birthday", **facts: Any) -> OccasionConfig:
    said: dict[str, Any] = {"kind": "birthday", "effective_from": date(2020, 1, 1), **facts}
    if "voucher" not in said:
        said = {"points": 200, "business": "retail", **said}
    return OccasionConfig(code=code, name=code.title(), name_zh="生日", **said)


async def group(db: AsyncConnection, *occasions: OccasionConfig) -> None:
    """A shop in Shanghai and a hotel in Los Angeles, and what they give."""
    await apply(
        db,
        config=ProgrammeConfig(
            group=GroupConfig(name="Group", time_zone=ZONES["retail"], currency="CNY"),
            businesses=[
                BusinessConfig(
                    code=code, name=code, kind="retail", legal_entity=code, legal_name=code,
                    currency="CNY", country="CN", time_zone=zone,
                )
                for code, zone in ZONES.items()
            ],
            earning_rules=[
                EarningRuleConfig(
                    business="retail", effective_from=START, points_per_unit=Decimal(1),
                    qualifying_per_unit=Decimal(1), cost_per_point=Decimal("0.01"),
                )
            ],
            expiry_policies=[ExpiryPolicyConfig(effective_from=START, months=24)],
        ),
    )  # fmt: skip
    await configure_occasions(db, occasions=occasions or [occasion()])


async def seen(
    db: AsyncConnection, name: str, birthday: str, *, business: int = 1, on: datetime = START
) -> int:
    """Somebody whom a business tells us of; returns the member."""
    hints = (Hint(type=HintType.BIRTHDAY, value=birthday, verified=False),)
    sighting = Sighting(business_id=business, external_id=name, hints=hints, seen_at=on)
    [resolved] = await resolve(db, people=[sighting], now=on, keyring=KEYRING)
    assert resolved.member_id is not None
    return resolved.member_id


async def give(db: AsyncConnection, when: datetime, **more: Any) -> list[GivenChunk]:
    """Do what a worker does, in one transaction."""
    while await index_birthdays(db, keyring=KEYRING):
        pass
    return [
        await give_occasions(db, versions=versions, now=when, keyring=KEYRING, **more)
        for versions in (await occasion_terms(db)).values()
    ]


async def given(db: AsyncConnection, *members: int) -> list[list[int]]:
    """The years in which each member was given something, the latest first."""
    found = await occasion_grants(db, member_ids=members)
    return [[one.year for one in found[member]] for member in members]


async def points(db: AsyncConnection, member: int) -> int:
    return int(
        await db.scalar(
            text("SELECT coalesce(sum(posted), 0) FROM balance WHERE member_id = :m AND unit = 1"),
            {"m": member},
        )
        or 0
    )


async def test_points_on_the_day_and_once_however_often(db: AsyncConnection) -> None:
    await group(db)
    li = await seen(db, "li", "1990-11-27")
    han = await seen(db, "han", "--11-28")
    for day, hour in ((26, 23), (27, 0), (27, 9), (28, 9), (30, 9)):
        await give(db, at(date(2026, 11, day), hour))
        expected = ([2026] if day >= 27 else []), ([2026] if day >= 28 else [])
        assert await given(db, li, han) == list(expected), (day, hour)
    assert (await points(db, li), await points(db, han)) == (200, 200)
    await give(db, at(date(2027, 11, 27)))
    assert await given(db, li, han) == [[2027, 2026], [2026]]
    assert [one for one in await verify(db) if one.broken] == []


async def test_a_day_begins_where_the_member_is(db: AsyncConnection) -> None:
    await group(db)
    here = await seen(db, "li", "1990-11-27")
    there = await seen(db, "joe", "1990-11-27", business=2)
    instant = at(date(2026, 11, 27), 0)
    await give(db, instant)
    assert await given(db, here, there) == [[2026], []]
    await give(db, instant + timedelta(hours=16))
    assert await given(db, here, there) == [[2026], [2026]]


@pytest.mark.parametrize(("leap_day", "common"), [("feb28", (2, 28)), ("mar1", (3, 1))])
async def test_born_on_the_leap_day(
    db: AsyncConnection, leap_day: str, common: tuple[int, int]
) -> None:
    await group(db, occasion(leap_day=leap_day))
    li = await seen(db, "li", "1996-02-29")
    days = []
    for year in (2027, 2028):
        day = date(year, 2, 26)
        while day < date(year, 3, 3):
            [chunk] = await give(db, at(day))
            days += [day] * chunk.given
            day += timedelta(days=1)
    assert days == [date(2027, *common), date(2028, 2, 29)]
    assert await given(db, li) == [[2028, 2027]]


async def test_a_lunar_birthday_is_once_in_a_lunar_year(db: AsyncConnection) -> None:
    await group(db, occasion(calendar="lunar"))
    eve = await seen(db, "eve", "1985-02-19")  # the 30th of the twelfth month
    leap = await seen(db, "leap", "2006-08-24")  # the first of the repeated seventh month
    nobody = await seen(db, "nobody", "--02-19")
    for day, years in (
        (date(2025, 1, 27), [[], []]),
        (date(2025, 1, 28), [[2024], []]),  # a month of 29 days
        (date(2025, 8, 23), [[2024], [2025]]),  # the seventh month, after a repeated sixth
        (date(2026, 2, 16), [[2025, 2024], [2025]]),
        (date(2026, 2, 24), [[2025, 2024], [2025]]),
    ):
        await give(db, at(day))
        assert await given(db, eve, leap) == years, day
    assert await given(db, nobody) == [[]]


async def test_an_anniversary_of_joining(db: AsyncConnection) -> None:
    await group(db, occasion("joined", kind="anniversary"))
    joined = datetime(2024, 2, 28, 17, tzinfo=UTC)  # the 29th in Shanghai, the 28th elsewhere
    li = await seen(db, "li", "1990-11-27", on=joined)
    joe = await seen(db, "joe", "1990-11-27", business=2, on=joined)
    for day, years in (
        (date(2024, 2, 29), [[], []]),
        (date(2025, 2, 28), [[2025], []]),
        (date(2026, 3, 1), [[2026, 2025], [2026]]),
    ):
        await give(db, at(day))
        assert await given(db, li, joe) == years, day


async def test_what_was_missed_is_made_up_for_a_week_but_not_before_joining(
    db: AsyncConnection,
) -> None:
    await group(db, occasion(), occasion("gift", days_ahead=14))
    li = await seen(db, "li", "1990-11-20")
    await seen(db, "wu", "1990-11-18")
    late = await seen(db, "late", "1990-11-20", on=at(date(2026, 11, 21)))
    soon = await seen(db, "soon", "1990-12-01", on=at(date(2026, 11, 26)))
    chunks = await give(db, at(date(2026, 11, 27)))
    assert [chunk.given for chunk in chunks] == [1, 1]
    assert await given(db, li, late, soon) == [[2026], [], [2026]]
    found = await occasion_grants(db, member_ids=[li, soon])
    assert [found[li][0].occasion_code, found[soon][0].occasion_code] == ["birthday", "gift"]


async def test_corrections_are_found_and_give_nothing_twice(db: AsyncConnection) -> None:
    await group(db)
    li = await seen(db, "li", "1990-11-27")
    await give(db, at(date(2026, 11, 27)))
    await seen(db, "li", "1990-12-03", on=at(date(2026, 11, 28)))
    await give(db, at(date(2026, 12, 3)))
    assert await given(db, li) == [[2026]]
    await pin_attribute(
        db, member_id=li, attribute="birthday", value="1990-06-05", actor="mei", reason="passport",
        now=at(date(2026, 12, 4)), keyring=KEYRING,
    )  # fmt: skip
    await give(db, at(date(2027, 6, 5)))
    assert await given(db, li) == [[2027, 2026]]
    await give(db, at(date(2027, 12, 3)))
    assert await given(db, li) == [[2027, 2026]], "what nobody is shown any more"


async def test_who_is_merged_was_given_it_and_a_split_leaves_each_its_own(
    db: AsyncConnection,
) -> None:
    await group(db)
    li, wu = await seen(db, "li", "1990-11-27"), await seen(db, "wu", "1990-11-27")
    await give(db, at(date(2026, 11, 27)), members=1)
    assert await given(db, li, wu) == [[2026], []]
    day = at(date(2026, 11, 28))
    await merge_members(
        db, member_ids=[li, wu], method="staff", actor="mei", reason="one person", now=day
    )
    assert [chunk.given for chunk in await give(db, day)] == [0]
    account = await db.scalar(text("SELECT account_id FROM account WHERE external_id = 'wu'"))
    await split_members(
        db, member_id=li, account_ids=[account], actor="mei", reason="two after all", now=day
    )
    assert [chunk.given for chunk in await give(db, day)] == [1]
    assert await given(db, li, wu) == [[2026], [2026]]
    assert [one for one in await verify(db) if one.broken] == []


async def test_two_workers_at_once_and_a_dead_one(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await group(db)
        yesterday = (now().astimezone(SHANGHAI) - timedelta(days=1)).date()
        people = [await seen(db, f"p{n}", f"--{yesterday:%m-%d}") for n in range(12)]

    async def work() -> int:
        total, after = 0, 0
        while True:
            async with engine.begin() as db:
                while await index_birthdays(db, keyring=KEYRING):
                    pass
                [versions] = (await occasion_terms(db)).values()
                chunk = await give_occasions(
                    db, versions=versions, now=now(), keyring=KEYRING, after_member_id=after,
                    members=3,
                )  # fmt: skip
            total += chunk.given
            if chunk.last_member_id is None:
                return total
            after = chunk.last_member_id

    async with engine.connect() as db:
        assert (await give(db, now(), members=5))[0].given == 5
        await db.rollback()  # killed before its commit
    workers = [
        work(),
        give_all(Runtime(engine, KEYRING)),
        work(),
        give_all(Runtime(engine, KEYRING)),
    ]
    assert sum(await asyncio.gather(*workers)) == len(people)
    async with engine.connect() as db:
        assert await given(db, *people) == [[yesterday.year]] * len(people)
        assert {await points(db, member) for member in people} == {200}


async def test_a_voucher_and_what_cannot_be_given(db: AsyncConnection) -> None:
    with pytest.raises(NotFound) as unknown:
        await group(db, occasion(voucher="cake"))
    assert unknown.value.facts["field"] == "voucher"
    ends = at(date(2026, 11, 28))
    cake = campaign("cake", funder="retail", businesses=["retail"], valid_until=ends)
    await configure_campaigns(db, campaigns=[cake])
    rule = occasion(voucher="cake", days_ahead=1)
    await configure_occasions(db, occasions=[rule, rule])
    li, late = await seen(db, "li", "1990-11-28"), await seen(db, "late", "1990-11-30")
    assert [chunk.given for chunk in await give(db, at(date(2026, 11, 27)))] == [1]
    assert [chunk.given for chunk in await give(db, at(date(2026, 11, 27), 10))] == [0]
    [chunk] = await give(db, at(date(2026, 11, 29)))
    assert (chunk.given, len(chunk.refused)) == (0, 1)
    found = await occasion_grants(db, member_ids=[li, late])
    assert (found[li][0].voucher_id is not None, found[late]) == (True, [])
    with pytest.raises(Conflict) as edited:
        await configure_occasions(db, occasions=[occasion(voucher="cake", days_ahead=2)])
    assert edited.value.field == "days_ahead"


async def test_a_benefit_until_so_many_days_after(db: AsyncConnection) -> None:
    await group(db)
    cake = BenefitConfig(
        code="cake", effective_from=START, name="Cake", name_zh="蛋糕", kind="birthday_gift",
        quota=0, funder="retail", price_minor=500, currency="CNY", offered_at=["hotel"],
    )  # fmt: skip
    await configure(db, tiers=[], benefits=[cake])
    await configure_occasions(
        db, occasions=[occasion("treat", benefit="cake", uses=2, valid_days=3, voucher=None)]
    )
    li = await seen(db, "li", "1990-11-28")
    assert [chunk.given for chunk in await give(db, at(date(2026, 11, 28)))] == [1, 1]
    await give(db, at(date(2026, 11, 29)))
    rows = await db.execute(
        text("""
          SELECT e.member_id, e.starts_on, e.ends_on, sum(n.quantity) FROM entitlement e
          JOIN entitlement_entry n USING (entitlement_id) WHERE source = 'occasion'
          GROUP BY 1, 2, 3""")
    )
    assert [tuple(row) for row in rows] == [(li, date(2026, 11, 28), date(2026, 12, 1), 2)]
    found = (await occasion_grants(db, member_ids=[li]))[li]
    assert {one.occasion_code: one.benefit for one in found} == {"birthday": None, "treat": "cake"}


async def test_a_renewed_key_and_a_birthday_that_is_gone(db: AsyncConnection) -> None:
    await group(db)
    li = await seen(db, "li", "1990-11-27")
    await give(db, at(date(2026, 11, 20)))
    before = await db.scalar(text("SELECT gregorian FROM birthday_index"))
    assert before is not None
    await db.execute(text("UPDATE birthday_index SET index_key_version = 99"))
    assert await index_birthdays(db, keyring=KEYRING) == 1
    assert await index_birthdays(db, keyring=KEYRING) == 0
    await db.execute(text("DELETE FROM account_profile"))
    await db.execute(text("UPDATE birthday_index SET index_key_version = 0"))
    await give(db, at(date(2026, 11, 27)))
    assert await given(db, li) == [[]]
    assert await db.scalar(text("SELECT gregorian FROM birthday_index")) is None


async def test_an_erasure_leaves_nothing_that_tells_the_birthday(db: AsyncConnection) -> None:
    await group(db)
    li, day = await seen(db, "li", "1990-11-27"), at(date(2026, 11, 27))
    await give(db, day)
    document = await export(db, member_id=li, now=day, keyring=KEYRING)
    assert [one["year"] for one in document["occasions"]] == [2026]
    await erase(
        db, member_id=li, reason="asked", erased_by="mei", forfeit_points=True, today=day.date(),
        now=day, keyring=KEYRING,
    )  # fmt: skip
    for table in ("occasion_grant", "birthday_index"):
        assert await db.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table
    assert [chunk.given for chunk in await give(db, day)] == [0]
