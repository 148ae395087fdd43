"""What was tried against the promises of settlement, and must go on to fail."""

from datetime import date
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.programme.agree import AgreementConfig, AgreementRateConfig, AgreementTaxConfig
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.settlement.queries import Obligation, obligations
from hub.settlement.verify import CHECKS, check
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
