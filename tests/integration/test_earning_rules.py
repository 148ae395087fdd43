"""Earning rules in a group's file: what is wrong is named, what is in force is never edited."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.entrypoints.commands.programme import read_group
from hub.entrypoints.sample import GROUP_FILE
from hub.errors import Conflict, Malformed, NotFound
from hub.programme.apply import EarningRuleConfig, apply
from hub.programme.conditions import SAMPLE, condition
from hub.programme.queries import terms
from hub.programme.rate_config import ExchangeRateConfig
from tests.support.docs import ROOT, blocks, spans
from tests.support.earning import open_shop, shop, yen
from tests.support.ledger import NOON

FULL: dict[str, Any] = {
    "rates": [
        {
            "categories": ["food", "wine"],
            "outlets": ["bund"],
            "weekdays": ["sat", "sun"],
            "from_time": "22:00",
            "until_time": "02:00",
            "tiers": ["gold"],
            "line_kinds": ["item"],
            "when": "total_minor > 10000",
            "points_per_unit": "2",
            "qualifying_per_unit": "0.5",
        },
        {"points_per_unit": "1.5"},
    ],
    "multipliers": [{"factor": "2", "reason": "autumn"}],
    "cap_per_event": 500,
    "cap_per_day": 1000,
    "funder": "shop",
}


async def test_a_rule_is_read_as_it_was_written_and_written_once(db: AsyncConnection) -> None:
    for _ in range(2):
        await open_shop(db, FULL, exchange_rates=[yen("0.05")])
    in_force = (await terms(db)).rule(1, NOON)
    assert str(in_force.rates[0].scope) == (
        "category food, wine; kind item; outlet bund; tier gold; on sat, sun; "
        "from 22:00 to 02:00; when total_minor > 10000"
    )
    assert [str(rate.points_per_unit) for rate in in_force.rates] == ["2", "1.5"]
    assert [str(rate.qualifying_per_unit) for rate in in_force.rates] == ["0.5", "1.000000"]
    assert (in_force.cap_per_event, in_force.cap_per_day, in_force.funder_id) == (500, 1000, 1)
    assert await db.scalar(text("SELECT count(*) FROM earning_rule")) == 1
    assert await db.scalar(text("SELECT count(*) FROM exchange_rate")) == 1


async def test_two_and_two_point_nought_are_the_same_version(db: AsyncConnection) -> None:
    await open_shop(db, {"rates": [{"points_per_unit": "2"}]})
    await open_shop(db, {"rates": [{"points_per_unit": "2.0"}]})


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("rates", [{"points_per_unit": "3"}]),
        ("multipliers", [{"factor": "3", "reason": "autumn"}]),
        ("cap_per_day", 2000),
        ("funder_id", None),
    ],
)
async def test_a_rule_in_force_is_not_edited(db: AsyncConnection, field: str, said: object) -> None:
    await open_shop(db, FULL)
    with pytest.raises(Conflict, match="in force") as refused:
        await open_shop(db, {**FULL, field.removesuffix("_id"): said})
    assert refused.value.field == field


async def test_a_rate_in_force_is_not_edited(db: AsyncConnection) -> None:
    await open_shop(db, exchange_rates=[yen("0.05")])
    with pytest.raises(Conflict) as refused:
        await open_shop(db, exchange_rates=[yen("0.06")])
    assert refused.value.field == "rate"


@pytest.mark.parametrize(
    ("field", "said"), [("unit", "stars"), ("funder", "nobody"), ("business", "nobody")]
)
async def test_what_is_not_configured_is_not_found(
    db: AsyncConnection, field: str, said: str
) -> None:
    with pytest.raises(NotFound) as refused:
        await apply(db, config=shop({field: said}))
    assert refused.value.facts["field"] == field


@pytest.mark.parametrize(
    ("field", "lines"),
    [
        ("rates[0].when", ['rates = [{ points_per_unit = "1", when = "price > 1" }]']),
        ("rates[0].points_per_unit", ['rates = [{ points_per_unit = "-1" }]']),
        ("rates[0].weekdays[0]", ['rates = [{ points_per_unit = "1", weekdays = ["mo"] }]']),
        ("rates[0].outlets", ['rates = [{ points_per_unit = "1", outlets = [] }]']),
        ("rates[0].outlets[0]", ['rates = [{ points_per_unit = "1", outlets = [7] }]']),
        ("rates[0]", ['rates = [{ points_per_unit = "1", from_time = 22:00:00 }]']),
        (
            "rates[0]",
            ['rates = [{ points_per_unit = "1", from_time = 22:00:00, until_time = 22:00:00 }]'],
        ),
        ("rates[0].colour", ['rates = [{ points_per_unit = "1", colour = "red" }]']),
        ("multipliers[0].reason", ['multipliers = [{ factor = "2" }]']),
        ("multipliers[0].factor", ['multipliers = [{ factor = "two", reason = "x" }]']),
        ("cap_per_day", ["cap_per_day = 0"]),
        ("unit", ["unit = 7"]),
    ],
)
def test_a_file_that_is_wrong_is_refused_and_names_the_place(
    tmp_path: Path, field: str, lines: list[str]
) -> None:
    rule = "\n".join(
        [
            "[[earning_rules]]",
            'business = "bund-outfitters"',
            "effective_from = 2026-01-01T00:00:00+08:00",
            'points_per_unit = "1"',
            'qualifying_per_unit = "1"',
            'cost_per_point = "0.008"',
            *lines,
        ]
    )
    file = tmp_path / "group.toml"
    file.write_text(f"{GROUP_FILE.read_text()}\n{rule}\n")
    with pytest.raises(Malformed) as refused:
        read_group(file)
    assert refused.value.field == f"earning_rules[3].{field}"


@pytest.mark.parametrize("said", [{"rate": "0"}, {"rate": "-1"}, {"from_currency": "CNY"}])
def test_an_exchange_rate_that_is_none_is_refused(said: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ExchangeRateConfig.model_validate({**yen("0.05").model_dump(), **said})


def test_the_guides_rules_can_be_applied() -> None:
    guide = (ROOT / "docs/points.md").read_text()
    earning = guide[: guide.index("## Policies")]
    rule, exchange = (tomllib.loads(block) for block in blocks(earning, "toml"))
    [said] = rule["earning_rules"]
    assert EarningRuleConfig.model_validate(said).rates[0].categories == ["spa"]
    assert ExchangeRateConfig.model_validate(exchange["exchange_rates"][0])
    [condition_said] = [span for span in spans(earning) if span.startswith('"')]
    assert condition(condition_said.strip('"')).holds(SAMPLE) is False
    assert all(f"`{name}`" in earning for name in SAMPLE)
