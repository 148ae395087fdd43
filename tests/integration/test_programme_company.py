"""The programme company: what may be agreed with it, and the doors that need a shop."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.configure import configure
from hub.crypto import tokens
from hub.crypto.keyring import ensure
from hub.entrypoints.checks import agreements as agreed
from hub.errors import Malformed, Rejected
from hub.intake.connections import ConnectionConfig, connect
from hub.points.opening_file import BadRow, Reader
from hub.programme.agree import AgreementConfig
from hub.programme.apply import BusinessConfig, ProgrammeConfig, apply
from hub.programme.queries import businesses, terms
from tests.integration.api_kit import PROGRAMME, STAFF, TIERS, UPGRADE, Api
from tests.integration.test_graphql_paying import OPERATIONS
from tests.support.accounting import closed
from tests.support.settlement import COMPANY, agreement, sale

NOVEMBER = date(2026, 11, 1)


def company(code: str = COMPANY, currency: str = "CNY") -> BusinessConfig:
    return BusinessConfig(
        code=code,
        name=code.title(),
        kind="programme",
        legal_entity=f"{code}-ltd",
        legal_name=f"{code} Ltd",
        currency=currency,
        country="CN",
        time_zone="Asia/Shanghai",
    )


def group(*made: AgreementConfig, **more: Any) -> ProgrammeConfig:
    companies = [company(), company("club-b"), company("club-usd", "USD")]
    return PROGRAMME.model_copy(
        update={"businesses": [*PROGRAMME.businesses, *companies], "agreements": made, **more}
    )


def sold(*, since: date = NOVEMBER, **changed: Any) -> AgreementConfig:
    return sale("shop", "0.01", since=since).model_copy(update=changed)


REFUSED: dict[str, tuple[list[AgreementConfig], str]] = {
    "by a shop": ([sold(acceptor="hotel")], "not by hotel (hotel) to shop (retail)"),
    "to a company": ([sold(issuer="club-b")], "not by club (programme) to club-b (programme)"),
    "in its own currency": ([sold(acceptor="club-usd")], "club-usd in USD"),
    "in another currency": ([sold(currency="USD")], "the agreement in USD"),
    "in mid-month": ([sold(since=date(2026, 11, 2))], "from the first of one"),
    "to end in mid-month": (
        [sold(), agreement("shop", COMPANY, None, since=date(2026, 12, 5))],
        "not from 2026-12-05",
    ),
    "before what ends it in mid-month": (
        [agreement("shop", COMPANY, None, since=date(2026, 12, 5)), sold()],
        "not from 2026-12-05",
    ),
    "with breakage of another from mid-month": (
        [sold(), sold(since=date(2026, 11, 9), breakage_owner="issuer")],
        "who keeps breakage",
    ),
    "by two": ([sold(), sold(acceptor="club-b", since=date(2027, 1, 1))], "from club from 2026-11"),
    "by two from before": (
        [sold(), sold(acceptor="club-b", since=date(2026, 1, 1))],
        "end that first",
    ),
}


@pytest.mark.parametrize("how", REFUSED)
async def test_points_cannot_be_sold(db: AsyncConnection, how: str) -> None:
    made, says = REFUSED[how]
    with pytest.raises(Rejected) as told:
        await apply(db, config=group(*made))
    assert says in told.value.message
    assert told.value.facts["field"] == "agreements"


async def test_what_may_be_agreed(db: AsyncConnection) -> None:
    config = group(
        sold(),
        sold(since=date(2026, 11, 9), rate_per_point=Decimal("0.02")),
        sold(since=date(2026, 12, 1), breakage_owner="issuer"),
        agreement("shop", COMPANY, None, since=date(2027, 1, 1)),
        sold(acceptor="club-b", since=date(2027, 1, 1)),
    )
    await apply(db, config=config)
    spans = await db.execute(
        text("""
          SELECT b.code, effective_from, superseded_on = 'infinity' AS stands, breakage_owner
          FROM point_sale JOIN business b ON business_id = company_id ORDER BY effective_from""")
    )
    assert [tuple(row) for row in spans] == [
        (COMPANY, NOVEMBER, False, "programme"),
        (COMPANY, date(2026, 11, 9), False, "programme"),
        (COMPANY, date(2026, 12, 1), False, "issuer"),
        ("club-b", date(2027, 1, 1), True, "programme"),
    ]
    await closed(db, "2026-11", datetime(2026, 12, 1, tzinfo=UTC))
    await apply(db, config=config)  # the same again, though November is closed


async def test_what_is_closed_was_settled_as_it_was_agreed(db: AsyncConnection) -> None:
    await apply(db, config=group())
    await closed(db, "2026-11", datetime(2026, 12, 1, tzinfo=UTC))
    with pytest.raises(Rejected, match="period 2026-11 is closed"):
        await apply(db, config=group(sold()))
    await apply(db, config=group(sold(since=date(2026, 12, 1))))
    with pytest.raises(DBAPIError, match="period 2026-11 is closed"):
        await db.execute(
            text("""
              INSERT INTO agreement (issuer_id, acceptor_id, effective_from, basis, rate_per_point,
                breakage_owner, currency)
              SELECT issuer_id, acceptor_id, '2026-11-01', basis, 1, breakage_owner, currency
              FROM agreement""")
        )


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"basis": "at_issue"}, "rate_per_point"),
        ({"breakage_owner": "issuer", "rate_per_point": "0.01"}, "at_issue"),
    ],
)
def test_an_agreement_says_all_that_it_needs(wrong: dict[str, Any], says: str) -> None:
    said = {"issuer": "shop", "acceptor": COMPANY, "effective_from": NOVEMBER, "currency": "CNY"}
    with pytest.raises(ValueError, match=says):
        AgreementConfig.model_validate({**said, **wrong})


async def test_the_doctor_asks_for_what_the_company_pays(db: AsyncConnection) -> None:
    await apply(db, config=group(sold(), *PROGRAMME.agreements))
    assert "club → diner, club → hotel, club → shop" in (await agreed(db)).says
    paid = [agreement(COMPANY, code, "0.008") for code in ("shop", "hotel", "diner")]
    await apply(db, config=group(sold(), *PROGRAMME.agreements, *paid))
    assert (await agreed(db)).says == "every pair of businesses has an agreement"


async def test_configuration_that_needs_a_shop_is_refused(
    db: AsyncConnection, tmp_path: Path
) -> None:
    await apply(db, config=group())
    rule = PROGRAMME.earning_rules[0].model_copy(update={"business": COMPANY})
    accepting = {"business": COMPANY, "effective_from": datetime(2026, 1, 1, tzinfo=UTC)}
    doors = {
        "an earning rule": apply(db, config=group(earning_rules=[rule])),
        "an acceptance rule": apply(
            db,
            config=ProgrammeConfig.model_validate(
                {**group().model_dump(), "acceptance_rules": [accepting]}
            ),
        ),
        "a benefit": configure(
            db, tiers=TIERS, benefits=[UPGRADE.model_copy(update={"offered_at": [COMPANY]})]
        ),
        "a connection": connect(
            db,
            config=ConnectionConfig(
                code="club", business=COMPANY, connector="sandbox", secrets=["s"]
            ),
            keyring=ensure(tmp_path / "keyring.json"),
        ),
    }
    for door, asked in doors.items():
        with pytest.raises(Malformed, match="club is a programme company") as told:
            await asked
        assert told.value.facts["field"] in {"business", "offered_at"}, door
    reader = Reader(await businesses(db), await terms(db), now=datetime(2026, 11, 2, tzinfo=UTC))
    row = reader.read(1, {"business": COMPANY, "external_id": "c-1", "points": "5"})
    assert isinstance(row, BadRow)
    assert row.field == "business"


JOIN = """mutation ($input: JoinInput!) { join(input: $input) { __typename
  ... on InvalidInput { field message } } }"""
ADJUST = """mutation ($input: ProposeAdjustmentInput!) { proposeAdjustment(input: $input) {
  __typename ... on InvalidInput { field message } } }"""


async def test_tills_and_desks_are_refused(api: Api) -> None:
    async with api.engine.begin() as db:
        await apply(db, config=group())
    await api.join("shop", "c-1", phone="+8613910203040")
    member = {"phone": "+8613910203040"}
    asked = {
        "redeem": (OPERATIONS["redeem"], {"member": member, "points": 5, "idempotencyKey": "k"}),
        "join": (JOIN, {"shown": {"code": "x"}, "externalId": "c-9"}),
    }
    for name, (operation, given) in asked.items():
        answer = (await api.data(operation, tokens.business(COMPANY), input=given))[name]
        assert (answer["__typename"], answer["field"]) == ("InvalidInput", "business"), name
    given = {"member": member, "business": COMPANY, "points": 5, "reason": "kind",
        "idempotencyKey": "k"}  # fmt: skip
    answer = (await api.data(ADJUST, STAFF, input=given))["proposeAdjustment"]
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "business")
    assert "name a shop" in answer["message"]


async def test_who_applies_while_a_period_closes_waits_and_is_refused(
    engine: AsyncEngine,
) -> None:
    async with engine.begin() as db:
        await apply(db, config=group())

    async def begin_to_sell() -> None:
        async with engine.begin() as db:
            await apply(db, config=group(sold()))

    async with engine.begin() as closing:
        await closed(closing, "2026-11", datetime(2026, 12, 1, tzinfo=UTC))
        applying = asyncio.create_task(begin_to_sell())
        async with engine.connect() as db:
            while not await db.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                await asyncio.sleep(0.01)
        assert not applying.done()
    with pytest.raises(Rejected, match="period 2026-11 is closed"):
        await applying
