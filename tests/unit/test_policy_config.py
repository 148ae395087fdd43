"""What a group's file says of its points is checked, and the field that is wrong is named."""

import tomllib
from dataclasses import fields
from typing import Any

import pytest
from pydantic import ValidationError

from hub.programme.policies import PointsPolicy
from hub.programme.policy_config import PoliciesConfig
from tests.support.docs import ROOT, blocks

SINCE = "2026-01-01T00:00:00+08:00"
CLEAR_OUT = {"mode": "clear_out", "clear_month": 12, "clear_day": 31, "years_after": 1}


def read(section: str, **row: object) -> Any:
    config = PoliciesConfig.model_validate({section: [{"effective_from": SINCE, **row}]})
    (found,) = getattr(config, section)
    return found


@pytest.mark.parametrize(
    ("row", "mode"),
    [
        ({"months": 24, "round_up_to": "quarter"}, "months"),
        ({}, "never"),
        (CLEAR_OUT, "clear_out"),
        ({**CLEAR_OUT, "clear_month": 2, "clear_day": 29}, "clear_out"),
        ({"mode": "inactivity", "idle_months": 24, "exempt_tiers": ["gold"]}, "inactivity"),
    ],
)
def test_a_policy_of_expiry_has_one_mode(row: dict[str, object], mode: str) -> None:
    policy = read("expiry_policies", **row)
    assert policy.mode == mode
    assert type(policy).model_validate(policy.model_dump()) == policy


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"mode": "months"}, "months"),
        ({"months": 0}, "months"),
        ({"months": 1201}, "months"),
        ({"months": 12, "round_up_to": "week"}, "round_up_to"),
        ({"mode": "never", "months": 12}, "months"),
        ({"months": 12, "idle_months": 12}, "idle_months"),
        ({"mode": "inactivity"}, "idle_months"),
        ({"mode": "yearly"}, "mode"),
        ({"mode": "clear_out", "clear_month": 12, "clear_day": 31}, "years_after"),
        ({**CLEAR_OUT, "years_after": 3}, "years_after"),
        ({**CLEAR_OUT, "clear_month": 13}, "clear_month"),
        ({**CLEAR_OUT, "clear_month": 4}, "clear_day"),
        ({**CLEAR_OUT, "clear_month": 2, "clear_day": 30}, "clear_day"),
        ({"exempt_tiers": ["Gold!"]}, "exempt_tiers"),
        ({"unit": "Stars!"}, "unit"),
        ({"effective_from": "2026-01-01T00:00:00"}, "effective_from"),
        ({"month": 12}, "month"),
    ],
)
def test_a_policy_of_expiry_names_what_is_wrong_with_it(row: dict[str, object], field: str) -> None:
    assert_wrong("expiry_policies", row, field)


@pytest.mark.parametrize(
    ("section", "row", "field"),
    [
        ("activation_policies", {"mode": "after_days"}, "days"),
        ("activation_policies", {"mode": "after_days", "days": 0}, "days"),
        ("activation_policies", {"mode": "at_once", "days": 1}, "days"),
        ("activation_policies", {"mode": "on_arrival"}, "mode"),
        ("clawback_policies", {"mode": "negative_to_limit"}, "limit_points"),
        ("clawback_policies", {"mode": "negative_to_limit", "limit_points": -1}, "limit_points"),
        ("clawback_policies", {"mode": "receivable", "limit_points": 1}, "limit_points"),
        ("acceptance_rules", {"minimum_points": -1}, "minimum_points"),
        ("acceptance_rules", {"minimum_points": 150, "step_points": 100}, "minimum_points"),
        ("acceptance_rules", {"step_points": 0}, "step_points"),
        ("acceptance_rules", {"maximum_share": "1.1", "point_value": "1"}, "maximum_share"),
        ("acceptance_rules", {"maximum_share": "0.12345", "point_value": "1"}, "maximum_share"),
        ("acceptance_rules", {"maximum_share": "0.5"}, "point_value"),
        ("acceptance_rules", {"point_value": "0.01"}, "point_value"),
        ("acceptance_rules", {"maximum_share": "0.5", "point_value": "0"}, "point_value"),
    ],
)
def test_a_policy_of_a_business_names_what_is_wrong_with_it(
    section: str, row: dict[str, object], field: str
) -> None:
    assert_wrong(section, {"business": "shop", **row}, field)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"send_limit_points": -1}, "send_limit_points"),
        ({"receive_limit_points": 10**12 + 1}, "receive_limit_points"),
        ({"pool_limit_points": "many"}, "pool_limit_points"),
        ({"pool_members": 1}, "pool_members"),
        ({"adjust_alone_points": -1}, "adjust_alone_points"),
        ({"restore_grace_days": -1}, "restore_grace_days"),
        ({"extension_months": 1201}, "extension_months"),
    ],
)
def test_a_policy_of_the_group_names_what_is_wrong_with_it(
    row: dict[str, object], field: str
) -> None:
    assert_wrong("points_policies", row, field)


def test_what_a_policy_of_the_group_leaves_out_is_as_without_one() -> None:
    facts = read("points_policies").model_dump(exclude={"effective_from"})
    assert PointsPolicy(**facts) == PointsPolicy()


def test_the_guide_shows_each_section_as_it_is_read() -> None:
    examples = [
        tomllib.loads(block)
        for guide in ("points", "tills")
        for block in blocks((ROOT / f"docs/{guide}.md").read_text(), "toml")
    ]
    shown = {section for example in examples for section in example}
    assert shown >= PoliciesConfig.model_fields.keys()
    for example in examples:
        PoliciesConfig.model_validate(
            {
                section: rows
                for section, rows in example.items()
                if section in PoliciesConfig.model_fields
            }
        )


def test_the_guide_shows_the_defaults() -> None:
    (shown,) = [
        example["points_policies"][0]
        for block in blocks((ROOT / "docs/points.md").read_text(), "toml")
        if "points_policies" in (example := tomllib.loads(block))
    ]
    shown.pop("effective_from")
    assert PointsPolicy(**shown) == PointsPolicy()
    assert shown.keys() == {field.name for field in fields(PointsPolicy)}


def assert_wrong(section: str, row: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        read(section, **row)
    assert refused.value.errors()[0]["loc"][:3] == (section, 0, field)
