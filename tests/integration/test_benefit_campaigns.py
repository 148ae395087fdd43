"""A benefit for many at once: once for each member and campaign, and what came of it."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.campaigns.grant_to_many import GrantedToMany, grant_to_many
from hub.benefits.campaigns.open_campaign import Campaign, open_campaign
from hub.benefits.campaigns.preview import preview
from hub.benefits.campaigns.report import Cost, report
from hub.benefits.entitlements.cancel_use import cancel_use
from hub.benefits.entitlements.hold import hold
from hub.benefits.entitlements.queries import grants
from hub.benefits.entitlements.use_held import use_held
from hub.benefits.entitlements.verify import CHECKS, check
from hub.benefits.merging import merge_benefits
from hub.benefits.use import use
from hub.errors import Conflict, Malformed, NotFound
from tests.integration.api_kit import FINANCE, SHOP, STAFF, Api
from tests.support.benefits import SPRING, ZONE, late_checkout, make_ladder
from tests.support.command import hub

LAST = date(2026, 6, 30)


async def opened(db: AsyncConnection, **other: Any) -> Campaign:
    asked: dict[str, Any] = {
        "code": "spring", "benefit_code": "late-checkout", "quantity": 2,
        "starts_on": SPRING.date(), "ends_on": LAST, "reason": "spring is here", "actor": "ann",
        "now": SPRING, **other,
    }  # fmt: skip
    return await open_campaign(db, **asked)


async def granted(db: AsyncConnection, *members: int) -> GrantedToMany:
    return await grant_to_many(
        db, campaign=await opened(db), member_ids=members, actor="ann", now=SPRING
    )


async def test_each_is_granted_it_once_and_the_report_adds_up(db: AsyncConnection) -> None:
    ids = await make_ladder(db, benefits=[late_checkout(quota=0)], members=5)
    asked = {"code": "spring", "benefit_code": "late-checkout", "quantity": 2, "now": SPRING}
    would = await preview(db, member_ids=[1, 2, 2, 3, 99], **asked)
    assert (would.members, would.uses, would.most_minor, would.unknown) == (3, 6, 6 * 8800, 1)
    assert await granted(db, 1, 2, 2, 99) == GrantedToMany(granted=2, had=0, unknown=1)
    assert await granted(db, 1, 2, 3) == GrantedToMany(granted=1, had=2, unknown=0)
    would = await preview(db, member_ids=[1, 4], **asked)
    assert (would.members, would.had) == (1, 1)
    [grant] = (await grants(db, member_ids=[1], now=SPRING))[1]
    assert (grant.source, grant.reason, grant.remaining, grant.ends_on) == (
        "campaign", "spring is here", 2, LAST,
    )  # fmt: skip
    till = {"business_id": ids["hotel"], "now": SPRING}
    one = {"member_id": 1, "benefit_code": "late-checkout", **till}
    used = await use(db, idempotency_key="u", **one)
    held = await hold(db, idempotency_key="h", ttl_seconds=600, **one)
    found = await report(db, code="spring")
    assert (found.members, found.granted, found.used, found.held, found.left) == (3, 6, 1, 1, 4)
    await use_held(db, hold_id=held.use_id, idempotency_key="c", **till)
    assert (await report(db, code="spring")).costs == [Cost(currency="CNY", minor=17_600)]
    await cancel_use(db, use_id=used.use_id, idempotency_key="x", **till)
    found = await report(db, code="spring")
    assert (found.used, found.costs) == (1, [Cost(currency="CNY", minor=8_800)])
    assert [await check(db, name) for name in CHECKS] == [None] * len(CHECKS)


async def test_who_was_merged_is_granted_it_as_one(db: AsyncConnection) -> None:
    await make_ladder(db, benefits=[late_checkout(quota=0)])
    await granted(db, 2)
    await db.execute(
        text("""
          INSERT INTO member_edge (low_member_id, high_member_id, method, made_at, made_by)
          VALUES (1, 2, 'staff', :now, 'ann')"""),
        {"now": SPRING},
    )
    await db.execute(
        text("UPDATE member SET status = 'merged', merged_into = 1 WHERE member_id = 2")
    )
    await merge_benefits(db, member_id=1, absorbed=[2], now=SPRING, time_zone=ZONE)
    assert await granted(db, 1) == GrantedToMany(granted=0, had=1, unknown=0)
    assert (await granted(db, 2, 3)).granted == 1


async def test_a_campaign_stands_as_it_was_opened(db: AsyncConnection) -> None:
    await make_ladder(db, benefits=[late_checkout(quota=0)])
    assert (await opened(db)).funder == "retail"
    for other, field in (
        ({"quantity": 3}, "quantity"), ({"ends_on": LAST + timedelta(days=1)}, "ends_on"),
        ({"funder": "dining"}, "funder"),
    ):  # fmt: skip
        with pytest.raises(Conflict) as no:
            await opened(db, **other)
        assert no.value.field == field
    for other, wrong in (
        ({"benefit_code": "no-such"}, NotFound), ({"funder": "no-such"}, NotFound),
        ({"ends_on": date(2026, 1, 1)}, Malformed), ({"code": "A %"}, Malformed),
        ({"reason": " "}, Malformed), ({"quantity": 0}, Malformed),
    ):  # fmt: skip
        with pytest.raises(wrong):
            await opened(db, **{"code": "other", **other})


GRANT = """mutation ($input: GrantToManyInput!) { grantToMany(input: $input) { __typename
  ... on Rejection { message } ... on InvalidInput { field } ... on IdempotencyConflict { field }
  ... on GrantedToMany { granted had unknown campaign { members left funder costs { minor } } } } }
"""
PREVIEW = """mutation ($input: GrantToManyInput!) { previewGrant(input: $input) { __typename
  ... on GrantPreview { members uses mostMinor currency } } }"""


async def test_staff_grants_by_the_api_and_by_a_file(api: Api, tmp_path: Path) -> None:
    li = await api.join("hotel", "g-1", phone="+8613910203040", name="李雷")
    han = await api.join("shop", "c-1", phone="+8613910203041", name="韩梅梅")
    asked = {
        "campaign": "spring", "benefit": "room-upgrade", "endsOn": "2999-12-31", "quantity": 2,
        "members": [str(li.member_id), "987654"], "reason": "spring",
    }  # fmt: skip
    would = (await api.data(PREVIEW, STAFF, input=asked))["previewGrant"]
    assert (would["members"], would["uses"], would["mostMinor"]) == (1, 2, 10_000)
    done = (await api.data(GRANT, STAFF, input=asked))["grantToMany"]
    assert (done["granted"], done["unknown"]) == (1, 1)
    assert done["campaign"] == {"members": 1, "left": 2, "funder": "hotel", "costs": []}
    for who, given, what in (
        (SHOP, asked, "Forbidden"), (FINANCE, asked, "Forbidden"),
        (STAFF, {**asked, "quantity": 3}, "IdempotencyConflict"),
        (STAFF, {**asked, "benefit": "no-such"}, "InvalidInput"),
        (STAFF, {**asked, "members": ["x"]}, "InvalidInput"),
        (STAFF, {**asked, "members": ["1"] * 1001}, "InvalidInput"),
    ):  # fmt: skip
        answer = (await api.data(GRANT, who, input=given))["grantToMany"]
        assert answer["__typename"] == what, (given, answer)
    sheet = tmp_path / "members.csv"
    sheet.write_text(f"member,business,external_id\n{li.member_id},,\n,shop,c-1\n,shop,c-9\nx,,\n")
    environment = {"HUB_DATABASE_URL": api.engine.url.render_as_string(hide_password=False)}
    words = ["benefit", "grant", "spring", "--benefit", "room-upgrade", "--file", str(sheet),
             "--until", "2999-12-31", "--reason", "spring", "--by", "ann",
             "--quantity", "2"]  # fmt: skip
    said = await hub(*words, "--preview", **environment)
    assert "would be granted: 1 members, 2 uses; had it already: 1; at most 100.00 CNY" in (
        said.stdout
    )
    said = await hub(*words, **environment)
    assert said.returncode == 0, said.stderr
    assert "granted: 1 members; had it already: 1" in said.stdout
    assert "2 rows lead to nobody" in said.stdout
    wrong = (tmp_path / "members.csv.errors.csv").read_text(encoding="utf-8-sig").splitlines()
    assert [line.split(",")[4] for line in wrong] == ["error_field", "external_id", "member"]
    again = await hub(*words, **environment)
    assert "granted: 0 members; had it already: 2" in again.stdout
    told = await hub("benefit", "report", "spring", **environment)
    assert "2 members, 4 uses: 0 used, 0 held, 4 left, 0 ended; cost so far: none" in told.stdout
    found = await api.data('{ benefitCampaign(code: "spring") { members reason } }', STAFF)
    assert found["benefitCampaign"] == {"members": 2, "reason": "spring"}
    assert han.member_id != li.member_id
