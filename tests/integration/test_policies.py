"""Units and policies are dated rows: the same again changes nothing, a change needs its date."""

import asyncio
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from hub.benefits.configure import configure
from hub.db.engine import make_engine
from hub.db.migrate import upgrade
from hub.errors import Conflict, Malformed, NotFound
from hub.programme.acceptance import AcceptanceRule
from hub.programme.apply import ProgrammeConfig, apply
from hub.programme.policies import (
    ActivationPolicy,
    ClawbackPolicy,
    ExpiryPolicy,
    PointsPolicy,
    PointUnit,
)
from hub.programme.policy_queries import policies
from hub.programme.queries import business_by_code, terms
from tests.support.benefits import LADDER

SPRING, AUTUMN = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
TABLES = (
    "point_unit",
    "expiry_policy",
    "activation_policy",
    "clawback_policy",
    "acceptance_rule",
    "points_policy",
)


def business(code: str, kind: str, currency: str) -> dict[str, object]:
    return {
        "code": code,
        "name": code.title(),
        "kind": kind,
        "legal_entity": f"{code}-ltd",
        "legal_name": f"{code} Ltd",
        "currency": currency,
        "country": "CN",
        "time_zone": "Asia/Shanghai",
    }


GROUP = {
    "group": {"name": "Three Rivers", "time_zone": "Asia/Shanghai", "currency": "CNY"},
    "businesses": [business("shop", "retail", "CNY"), business("hotel", "hotel", "JPY")],
}
FILE = """
[[units]]
code = "stars"
name = "Stars"

[[expiry_policies]]
effective_from = 2026-01-01T00:00:00Z
months = 24
round_up_to = "quarter"
exempt_tiers = ["silver", "bronze"]

[[expiry_policies]]
unit = "stars"
effective_from = 2026-01-01T00:00:00Z
mode = "clear_out"
clear_month = 2
clear_day = 29
years_after = 1

[[expiry_policies]]
unit = "stars"
effective_from = 2026-07-01T00:00:00Z
mode = "inactivity"
idle_months = 24

[[activation_policies]]
business = "shop"
effective_from = 2026-01-01T00:00:00Z
mode = "after_days"
days = 14

[[activation_policies]]
business = "hotel"
effective_from = 2026-07-01T00:00:00Z
mode = "on_checkout"

[[clawback_policies]]
business = "shop"
effective_from = 2026-01-01T00:00:00Z
mode = "negative_to_limit"
limit_points = 500

[[clawback_policies]]
business = "shop"
effective_from = 2026-07-01T00:00:00Z
mode = "receivable"

[[acceptance_rules]]
business = "hotel"
effective_from = 2026-01-01T00:00:00Z
minimum_points = 500
step_points = 100

[[acceptance_rules]]
business = "hotel"
effective_from = 2026-07-01T00:00:00Z
maximum_share = "0.5"
point_value = "0.25"

[[points_policies]]
effective_from = 2026-07-01T00:00:00Z
send_limit_points = 5000
adjust_alone_points = 0
"""


def config(**sections: Any) -> ProgrammeConfig:
    return ProgrammeConfig.model_validate({**GROUP, **sections})


def full() -> dict[str, Any]:
    return tomllib.loads(FILE)


async def _counts(db: AsyncConnection) -> list[int]:
    return [await db.scalar(text(f"SELECT count(*) FROM {table}")) or 0 for table in TABLES]


async def test_the_same_file_again_changes_nothing(db: AsyncConnection) -> None:
    await apply(db, config=config(**full()))
    before = await _counts(db)
    await apply(db, config=config(**full()))
    assert await _counts(db) == before == [3, 3, 2, 2, 2, 1]


async def test_each_date_has_the_policies_that_were_in_force_on_it(db: AsyncConnection) -> None:
    await apply(db, config=config(**full()))
    shop, hotel = [(await business_by_code(db, code)).business_id for code in ("shop", "hotel")]
    known = await policies(db)
    stars = known.unit("stars")
    assert stars == PointUnit(unit_id=3, code="stars", name="Stars", kind="spendable")

    months = ExpiryPolicy(
        mode="months", months=24, round_up_to="quarter", exempt_tiers=["bronze", "silver"]
    )
    assert known.expiry(1, SPRING) == known.expiry(1, AUTUMN) == months
    assert known.expiry(3, SPRING) == ExpiryPolicy(
        mode="clear_out", clear_month=2, clear_day=29, years_after=1, exempt_tiers=[]
    )
    assert known.expiry(3, AUTUMN) == ExpiryPolicy(
        mode="inactivity", idle_months=24, exempt_tiers=[]
    )
    assert (await terms(db)).policy(AUTUMN) == months

    after_days = ActivationPolicy(mode="after_days", days=14)
    assert known.activation(shop, SPRING) == known.activation(shop, AUTUMN) == after_days
    assert known.activation(hotel, SPRING) == ActivationPolicy()
    assert known.activation(hotel, AUTUMN).on_checkout

    limited = ClawbackPolicy(mode="negative_to_limit", limit_points=500)
    assert known.clawback(shop, SPRING) == limited
    assert known.clawback(shop, AUTUMN) == ClawbackPolicy(mode="receivable")
    assert known.clawback(hotel, AUTUMN) == ClawbackPolicy()

    assert known.acceptance(hotel, SPRING) == AcceptanceRule(
        currency="JPY", minimum_points=500, step_points=100
    )
    assert known.acceptance(hotel, AUTUMN) == AcceptanceRule(
        currency="JPY", maximum_share=Decimal("0.5"), point_value=Decimal("0.25")
    )
    assert known.acceptance(shop, AUTUMN) is None

    assert known.points(SPRING) == PointsPolicy()
    assert known.points(AUTUMN) == PointsPolicy(send_limit_points=5000, adjust_alone_points=0)


@pytest.mark.parametrize(
    ("section", "which", "edit", "field"),
    [
        ("expiry_policies", 0, {"months": 12}, "months"),
        ("expiry_policies", 0, {"exempt_tiers": ["silver"]}, "exempt_tiers"),
        ("expiry_policies", 1, {"clear_day": 28}, "clear_day"),
        ("expiry_policies", 2, {"idle_months": 12}, "idle_months"),
        ("activation_policies", 0, {"days": 7}, "days"),
        ("clawback_policies", 0, {"limit_points": 400}, "limit_points"),
        ("acceptance_rules", 0, {"step_points": 50}, "step_points"),
        ("acceptance_rules", 1, {"maximum_share": "0.25"}, "maximum_share"),
        ("points_policies", 0, {"restore_grace_days": 60}, "restore_grace_days"),
    ],
)
async def test_a_policy_in_force_is_not_edited(
    db: AsyncConnection, section: str, which: int, edit: dict[str, object], field: str
) -> None:
    await apply(db, config=config(**full()))
    edited = full()
    edited[section][which] |= edit
    with pytest.raises(Conflict, match="give the new version its own effective_from") as refused:
        await apply(db, config=config(**edited))
    assert refused.value.field == field


async def test_a_unit_takes_another_name_and_keeps_its_number(db: AsyncConnection) -> None:
    await apply(db, config=config(**full()))
    names = [{"code": "moons", "name": "Moons"}, {"code": "points", "name": "港湾积分"}]
    await apply(db, config=config(units=names))
    assert [
        (unit.unit_id, unit.name, unit.kind) for unit in (await policies(db)).units.values()
    ] == [
        (1, "港湾积分", "spendable"),
        (2, "Qualifying points", "qualifying"),
        (3, "Stars", "spendable"),
        (4, "Moons", "spendable"),
    ]


@pytest.mark.parametrize(
    ("section", "row", "error", "field"),
    [
        ("expiry_policies", {"unit": "moons"}, NotFound, "unit"),
        ("expiry_policies", {"unit": "qualifying"}, Malformed, "unit"),
        ("activation_policies", {"business": "bank", "mode": "at_once"}, NotFound, "business"),
        ("clawback_policies", {"business": "bank", "mode": "receivable"}, NotFound, "business"),
        ("acceptance_rules", {"business": "bank"}, NotFound, "business"),
    ],
)
async def test_a_policy_is_of_a_unit_and_a_business_that_exist(
    db: AsyncConnection, section: str, row: dict[str, object], error: type, field: str
) -> None:
    with pytest.raises(error) as refused:
        await apply(db, config=config(**{section: [{"effective_from": SPRING, **row}]}))
    assert refused.value.facts["field"] == field


async def test_only_tiers_that_exist_are_exempt(db: AsyncConnection) -> None:
    await apply(db, config=config(**full()))
    await configure(db, tiers=LADDER, benefits=[])
    misspelt = {"effective_from": AUTUMN, "months": 12, "exempt_tiers": ["silber"]}
    await apply(db, config=config(expiry_policies=[misspelt]))
    with pytest.raises(NotFound, match="silber") as refused:
        await configure(db, tiers=LADDER, benefits=[])
    assert refused.value.facts["field"] == "exempt_tiers"


@pytest.mark.parametrize(
    "change",
    [
        *(f"UPDATE {table} SET effective_from = now()" for table in TABLES[1:]),
        *(f"DELETE FROM {table}" for table in TABLES),
        "UPDATE point_unit SET kind = 'qualifying' WHERE unit_id = 3",
    ],
)
async def test_the_database_keeps_what_was_in_force(db: AsyncConnection, change: str) -> None:
    await apply(db, config=config(**full()))
    with pytest.raises(DBAPIError, match="append-only"):
        await db.execute(text(change))


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("mode", "'months'"),
        ("months", "12"),
        ("mode, clear_month, clear_day", "'clear_out', 12, 31"),
        ("mode, clear_month, clear_day, years_after", "'clear_out', 2, 30, 0"),
        ("mode, idle_months, months", "'inactivity', 12, 12"),
        ("unit_id", "2"),
    ],
)
async def test_the_database_holds_no_policy_that_contradicts_itself(
    db: AsyncConnection, columns: str, values: str
) -> None:
    with pytest.raises(DBAPIError, match=r"violates check constraint|out of range"):
        await db.execute(
            text(f"INSERT INTO expiry_policy (effective_from, {columns}) VALUES (now(), {values})")
        )


async def test_policies_of_before_keep_their_meaning(empty_database_url: str) -> None:
    await asyncio.to_thread(upgrade, empty_database_url, "0007_settlement")
    engine = make_engine(empty_database_url, poolclass=NullPool)
    try:
        async with engine.begin() as db:
            await db.execute(
                text("""
                  INSERT INTO expiry_policy (effective_from, months, round_up_to)
                  VALUES ('2026-01-01Z', NULL, 'month'), ('2026-07-01Z', 12, 'year')""")
            )
        await asyncio.to_thread(upgrade, empty_database_url)
        async with engine.begin() as db:
            known = await policies(db)
    finally:
        await engine.dispose()
    assert known.expiry(1, SPRING) == ExpiryPolicy(mode="never", exempt_tiers=[])
    assert known.expiry(1, AUTUMN) == ExpiryPolicy(
        mode="months", months=12, round_up_to="year", exempt_tiers=[]
    )
