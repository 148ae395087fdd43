"""What was tried against the promises of settlement, and must go on to fail."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from zipfile import ZipFile

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.intake.merge_members import merge_members
from hub.points.capture import capture
from hub.points.hold import hold
from hub.points.purpose import Purpose
from hub.programme.agree import AgreementConfig, AgreementRateConfig, AgreementTaxConfig, agree
from hub.settlement.close_period import close
from hub.settlement.documents.book import write_xlsx
from hub.settlement.open_period import open_period
from hub.settlement.queries import Obligation, obligations, period_by_code, statement
from hub.settlement.verify import CHECKS, check
from tests.support.people import HAN, LI, a_group
from tests.support.settlement import Tills, agreement, make_group, noon

NOVEMBER, DECEMBER = date(2026, 11, 10), date(2026, 12, 10)
CLOSED = noon(date(2027, 2, 1))


async def settle(db: AsyncConnection, code: str) -> list[Obligation]:
    """Close a period and return its lines in the order of posting; all invariants hold."""
    period = await open_period(db, code=code, now=CLOSED)
    await close(db, period_id=period.period_id, now=CLOSED)
    found = await obligations(db, period_id=period.period_id, first=1000)
    assert [name for name in CHECKS if await check(db, name) is not None] == []
    return sorted(found, key=lambda line: (line.tx_id, line.seq))


def with_tax(config: AgreementConfig, rate: str) -> AgreementConfig:
    tax = AgreementTaxConfig(kind="redemption", code="VAT", rate=Decimal(rate))
    return config.model_copy(update={"taxes": (tax,)})


async def test_what_is_agreed_for_days_that_are_settled_does_not_reprice_what_comes_back(
    db: AsyncConnection,
) -> None:
    was = with_tax(agreement("retail", "dining", "0.008"), "0.06")
    tills = Tills(db, await make_group(db, [was]))
    await tills.issue("retail", 1, 1000, NOVEMBER)
    spent = await tills.redeem("dining", 1, 400, NOVEMBER)
    (taken,) = await settle(db, "2026-11")
    # A version that begins before the redemption, found and applied after its period was closed.
    backdated = agreement("retail", "dining", "0.01", since=date(2026, 11, 1), currency="JPY")
    await make_group(db, [was, with_tax(backdated, "0.13")])
    await tills.restore("dining", 1, spent, 400, DECEMBER)
    (back,) = await settle(db, "2026-12")
    same = ("rate", "currency", "agreement_id", "tax_code", "tax_rate", "tax_included")
    assert [getattr(back, name) for name in same] == [getattr(taken, name) for name in same]
    assert back.amount == -taken.amount


async def test_nor_where_rates_are_by_award(db: AsyncConnection) -> None:
    night = AgreementRateConfig(award="night", amount=Decimal(100))
    was = with_tax(agreement("retail", "dining", "0.008"), "0.06")
    was = was.model_copy(update={"rates": (night,)})
    tills = Tills(db, await make_group(db, [was]))
    await tills.issue("retail", 1, 1000, NOVEMBER)
    spent = await tills.redeem("dining", 1, 400, NOVEMBER, award="night")
    (taken,) = await settle(db, "2026-11")
    backdated = agreement("retail", "dining", "0.01", since=date(2026, 11, 1), currency="JPY")
    await make_group(db, [was, with_tax(backdated, "0.13")])
    await tills.restore("dining", 1, spent, 400, DECEMBER)
    (back,) = await settle(db, "2026-12")
    same = ("rate", "currency", "agreement_id", "tax_code", "tax_rate", "tax_included")
    assert [getattr(back, name) for name in same] == [getattr(taken, name) for name in same]
    assert back.amount == -taken.amount


def nights(issuer: str, acceptor: str, amount: str) -> AgreementConfig:
    night = AgreementRateConfig(award="night", amount=Decimal(amount))
    return agreement(issuer, acceptor, "0.008").model_copy(update={"rates": (night,)})


async def test_an_award_that_is_captured_in_parts_is_paid_once(db: AsyncConnection) -> None:
    tills = Tills(db, await make_group(db, [nights("retail", "hotel", "100.0001")]))
    for points in (7, 20, 1000):
        await tills.issue("retail", 1, points, NOVEMBER)
    at = {"occurred_at": noon(NOVEMBER), "business_date": NOVEMBER, "now": noon(NOVEMBER)}
    who = {"business_id": tills.ids["hotel"], "member_id": 1}
    night = Purpose(award="night")
    for key, parts in (("whole", (11, 13, 6)), ("part", (10,))):
        held = await hold(
            db, **who, **at, points=30, ttl_seconds=60, idempotency_key=key, today=NOVEMBER,
            purpose=night,
        )  # fmt: skip
        for part in parts:
            await capture(
                db, **who, **at, hold_id=held.tx_id, points=part, idempotency_key=f"{key}-{part}"
            )
    lines = await settle(db, "2026-11")
    assert [line.points for line in lines] == [7, 4, 13, 3, 3, 10]
    assert sum(line.amount for line in lines[:5]) == Decimal("100.0001")
    assert lines[5].amount == Decimal("33.33336667")


@pytest.mark.parametrize("held_before", [True, False])
async def test_an_award_has_its_price_whichever_id_the_till_knows(
    db: AsyncConnection, *, held_before: bool
) -> None:
    await a_group(db)
    ids = {"shop-1": 1, "shop-2": 2}
    await agree(db, config=nights("shop-1", "shop-2", "100"), ids=ids)
    tills, day = Tills(db, ids), date(2026, 10, 16)
    await tills.issue("shop-1", HAN, 1000, day)
    at = {"occurred_at": noon(day), "business_date": day, "now": noon(day)}
    asked = {**at, "business_id": 2, "member_id": HAN, "today": day}
    night = Purpose(award="night")
    taken = {"points": 10, "ttl_seconds": 60, "idempotency_key": "held", "purpose": night}
    if held_before:
        held = await hold(db, **asked, **taken)
    await merge_members(
        db, member_ids=[LI, HAN], method="staff", actor="mei", now=noon(day), despite_non_match=True
    )
    if not held_before:
        held = await hold(db, **asked, **taken)
    for member_id in (HAN, LI):
        again = await hold(db, **asked | {"member_id": member_id}, **taken)
        assert (again.replayed, again.tx_id) == (True, held.tx_id)
    until = {name: value for name, value in asked.items() if name != "today"}
    await capture(db, **until, hold_id=held.tx_id, idempotency_key="taken")
    (line,) = await settle(db, "2026-10")
    assert line.amount == 100


async def test_no_name_becomes_a_formula_in_a_spreadsheet(
    db: AsyncConnection, tmp_path: Path
) -> None:
    tills = Tills(db, await make_group(db, [agreement("retail", "dining", "0.008")]))
    await db.execute(text("""UPDATE programme SET name = '=HYPERLINK("http://x.example","us")'"""))
    await tills.issue("retail", 1, 1000, NOVEMBER)
    await tills.redeem("dining", 1, 400, NOVEMBER)
    (line,) = await settle(db, "2026-11")
    told = await statement(
        db, period_id=(await period_by_code(db, "2026-11")).period_id, business_id=line.debtor_id
    )
    out = tmp_path / "statement.xlsx"
    await write_xlsx(db, statement=told, out=out)
    with ZipFile(out) as book:
        front = book.read("xl/worksheets/sheet1.xml").decode()
    assert "SUMIFS" in front
    assert "HYPERLINK" not in "".join(re.findall(r"<f>.*?</f>", front))
