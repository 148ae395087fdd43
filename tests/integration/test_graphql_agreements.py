"""Agreements as their sides see them, and an occupancy that is stated, by API and command line."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hub.entrypoints.commands.occupancy import occupancy
from hub.errors import Malformed
from hub.programme.agree import AgreementConfig, AgreementRateConfig, AgreementTaxConfig, agree
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, Api

ASK = """{ agreements { issuer { code } acceptor { code } effectiveFrom supersededOn basis
  ratePerPoint currency occupancyRequired
  rates { award category fromPercent ratePerPoint amount } taxes { kind code rate included } } }"""
STATE = """mutation ($input: StateOccupancyInput!) { stateOccupancy(input: $input) { __typename
  ... on OccupancyStated { business { code } day percent }
  ... on InvalidInput { field } ... on Forbidden { message } } }"""


async def newer(api: Api) -> None:
    config = AgreementConfig(
        issuer="shop",
        acceptor="hotel",
        effective_from=date(2026, 6, 1),
        rate_per_point=Decimal("0.007"),
        currency="CNY",
        occupancy_required=True,
        rates=(
            AgreementRateConfig(award="night", amount=Decimal("120.5")),
            AgreementRateConfig(from_percent=80, rate_per_point=Decimal("0.01")),
        ),
        taxes=(AgreementTaxConfig(kind="redemption", code="VAT6", rate=Decimal("0.06")),),
    )
    async with api.engine.begin() as db:
        await agree(db, config=config, ids=api.ids)


async def test_both_sides_see_every_version(api: Api) -> None:
    await newer(api)
    found = (await api.data(ASK, FINANCE))["agreements"]
    assert len(found) == 7
    old, new = (
        one
        for one in found
        if (one["issuer"]["code"], one["acceptor"]["code"]) == ("shop", "hotel")
    )
    assert (old["supersededOn"], old["rates"], old["taxes"]) == ("2026-06-01", [], [])
    assert new == {
        "issuer": {"code": "shop"}, "acceptor": {"code": "hotel"}, "basis": "at_redemption",
        "effectiveFrom": "2026-06-01", "supersededOn": None, "ratePerPoint": "0.00700000",
        "currency": "CNY", "occupancyRequired": True,
        "rates": [
            {"award": "night", "category": None, "fromPercent": None, "ratePerPoint": None,
             "amount": "120.5000"},
            {"award": None, "category": None, "fromPercent": 80, "ratePerPoint": "0.01000000",
             "amount": None},
        ],
        "taxes": [{"kind": "redemption", "code": "VAT6", "rate": "0.06000000", "included": False}],
    }  # fmt: skip
    for who, sees in ((SHOP, 5), (HOTEL, 5), (DINER, 4), (STAFF, 7)):
        assert len((await api.data(ASK, who))["agreements"]) == sees


async def test_a_house_states_its_own_occupancy(api: Api) -> None:
    said: dict[str, Any] = {"business": "hotel", "day": "2026-06-03", "percent": "81.5"}
    for who in (HOTEL, STAFF):
        stated = (await api.data(STATE, who, input=said))["stateOccupancy"]
        assert stated == {
            "__typename": "OccupancyStated", "business": {"code": "hotel"}, "day": "2026-06-03",
            "percent": "81.5",
        }  # fmt: skip
    async with api.engine.connect() as db:
        assert await db.scalar(text("SELECT actor FROM occupancy")) == HOTEL.subject
    for who in (SHOP, FINANCE):
        refused = (await api.data(STATE, who, input=said))["stateOccupancy"]
        assert refused["__typename"] == "Forbidden"
    for wrong in ({"percent": "101"}, {"business": "nowhere"}):
        refused = (await api.data(STATE, STAFF, input={**said, **wrong}))["stateOccupancy"]
        assert refused == {"__typename": "InvalidInput", "field": next(iter(wrong))}


def test_a_file_of_days_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "days.csv"
    for body, why in (
        ("day,rooms\n2026-06-03,80\n", "no column percent"),
        ("day,percent\n2026-06-03,80\n2026-06-31,80\n", "row 3"),
        ("day,percent\n2026-06-03,full\n", "row 2"),
    ):
        file.write_text(body)
        with pytest.raises(Malformed, match=why):
            occupancy("hotel", file, "li")
