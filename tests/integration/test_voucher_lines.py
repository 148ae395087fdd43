"""What the funder of a voucher owes whoever took it, and gets back when that is cancelled."""

from datetime import date
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.programme.agree import AgreementConfig
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.settlement.verify import CHECKS, check
from tests.support.settlement import agreement, make_group, noon, statement_csv
from tests.support.vouchers import campaign, cancelled, given, make_campaigns, redeemed


async def _close(db: AsyncConnection, code: str, day: date) -> int:
    period = await open_period(db, code=code, now=noon(day))
    await close(db, period_id=period.period_id, now=noon(day))
    return period.period_id


async def test_a_redeemed_voucher_is_owed_and_what_is_cancelled_is_not(db: AsyncConnection) -> None:
    shops = await make_campaigns(
        db,
        campaign(uses=3),
        campaign("meal", kind="gift", item="dessert", price_minor=1700, funder="hotel"),
        campaign("own", funder="dining"),
    )
    hotel, dining = shops["hotel"], shops["dining"]
    off, meal = await given(db), await given(db, "meal", source_id="meal")
    own = await given(db, "own", source_id="own")
    july = [date(2026, 7, day) for day in range(1, 31)]
    sales = [
        await redeemed(db, shop, [voucher], key=f"s{n}", at=noon(july[n]))
        for n, (shop, voucher) in enumerate(
            [(dining, off), (dining, off), (hotel, off), (dining, meal), (dining, own)]
        )
    ]
    await cancelled(
        db, dining, sales[1].parts[0].entry_id, key="u1", amount_minor=300, at=noon(july[9])
    )
    period_id = await _close(db, "2026-07", date(2026, 8, 1))
    lines = (
        await db.execute(
            text("""
              SELECT debtor_id, creditor_id, amount, kind, source, late FROM obligation
              ORDER BY tx_id""")
        )
    ).all()
    retail_id, hotel_id, dining_id = (shops[c].business_id for c in ("retail", "hotel", "dining"))
    assert [tuple(line) for line in lines] == [
        (retail_id, dining_id, Decimal("10.00"), 4, 8, False),
        (retail_id, dining_id, Decimal("10.00"), 4, 8, False),
        (retail_id, hotel_id, Decimal("10.00"), 4, 8, False),
        (hotel_id, dining_id, Decimal("17.00"), 4, 8, False),
        (retail_id, dining_id, Decimal("-3.00"), 4, 8, False),
    ]
    told = (await statement_csv(db, period_id=period_id, business_id=dining_id)).decode()
    assert "net,,,CNY,34.00" in told
    assert told.count(",line,") == 4
    # The rest is refunded when the month is closed: it lands in the next one.
    await cancelled(db, dining, sales[1].parts[0].entry_id, key="u2", at=noon(date(2026, 8, 3)))
    await cancelled(db, hotel, sales[2].parts[0].entry_id, key="u3", at=noon(date(2026, 8, 3)))
    august = await _close(db, "2026-08", date(2026, 9, 1))
    back = await db.execute(
        text("SELECT amount FROM obligation WHERE period_id = :p ORDER BY tx_id"), {"p": august}
    )
    assert [row.amount for row in back] == [Decimal("-7.00"), Decimal("-10.00")]
    assert [await check(db, name) for name in CHECKS] == [None] * len(CHECKS)


async def test_a_cancellation_is_taxed_as_what_it_undoes_was(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, campaign(uses=2))
    dining = shops["dining"]
    voucher = await given(db)
    facts = agreement("retail", "dining", "0.008").model_dump()
    for since, rate in ((date(2026, 1, 1), "0.06"), (date(2026, 7, 10), "0.13")):
        tax = {"kind": "voucher", "code": f"VAT{rate}", "rate": rate}
        said = {**facts, "effective_from": since, "taxes": [tax]}
        await make_group(db, [AgreementConfig.model_validate(said)])
    sale = await redeemed(db, dining, [voucher], at=noon(date(2026, 7, 1)))
    await cancelled(
        db, dining, sale.parts[0].entry_id, key="a", amount_minor=400, at=noon(date(2026, 7, 20))
    )
    await _close(db, "2026-07", date(2026, 8, 1))
    await cancelled(db, dining, sale.parts[0].entry_id, key="b", at=noon(date(2026, 8, 20)))
    await redeemed(db, dining, [voucher], key="later", at=noon(date(2026, 8, 21)))
    await _close(db, "2026-08", date(2026, 9, 1))
    lines = await db.execute(text("SELECT amount, tax_code FROM obligation ORDER BY tx_id"))
    assert [tuple(line) for line in lines] == [
        (Decimal(10), "VAT0.06"),
        (Decimal(-4), "VAT0.06"),
        (Decimal(-6), "VAT0.06"),
        (Decimal(10), "VAT0.13"),
    ]
    assert [await check(db, name) for name in CHECKS] == [None] * len(CHECKS)
