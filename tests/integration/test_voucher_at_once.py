"""A voucher of terms that were met before is redeemed in one statement, and as by the long way."""

from decimal import Decimal
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.judge import VoucherAsked
from hub.benefits.vouchers.key import code_key
from hub.benefits.vouchers.met import met
from hub.benefits.vouchers.worth import Bill, Verdict
from tests.support.vouchers import (
    KEYRING,
    bill,
    campaign,
    given,
    left,
    make_campaigns,
    redeemed,
    vouchers_sound,
)

FOOD = {"categories": {"food": 4_005}}
BILLS = [bill(), bill(700), bill(9_999, delivery_minor=600, **FOOD), bill(10_000, outlet="bar")]
CAMPAIGNS = [
    campaign("cash", uses=9, price_minor=77),
    campaign("card", amount_minor=9_000, keeps_rest=True),
    campaign("part", kind="percentage", percent=Decimal("12.5"), uses=9, categories=["food"]),
    campaign("capped", kind="percentage", percent=Decimal(50), cap_minor=900, uses=9),
    campaign("full", kind="threshold", threshold_minor=3_000, amount_minor=500, repeats=True,
             uses=9),
    campaign("gift", kind="gift", item="mug", price_minor=5, minimum_minor=800, uses=9),
    campaign("free-delivery", kind="delivery", uses=9),
    campaign("at-bar", outlets=["bar"], uses=9),
]  # fmt: skip
ENTRIES = """SELECT kind, used, amount_minor, price_minor, member_id, funder_id, currency,
  business_id, business_date FROM voucher_entry WHERE voucher_id = :id ORDER BY entry_id"""


async def test_the_short_way_takes_what_the_long_way_takes(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, *CAMPAIGNS)
    short = 0
    for one in CAMPAIGNS:
        twins = [await given(db, one.code, source_id=f"{one.code}-{n}") for n in range(2)]
        for place, of in enumerate(BILLS):
            said = 100 if one.keeps_rest else None
            answers = []
            for n, voucher in enumerate(twins):
                met(db).terms.clear() if n == 0 else met(db).meet([voucher.terms])
                asked = VoucherAsked(voucher_id=voucher.voucher_id, amount_minor=said)
                answers.append(
                    await redeemed(
                        db, shops["hotel"], [asked], of=of, key=f"{one.code}-{place}-{n}"
                    )
                )
            long, quick = answers
            assert [_told(part) for part in long.parts] == [_told(part) for part in quick.parts]
            short += quick.outcome is Verdict.TAKEN
        rows = [
            [tuple(row) for row in await db.execute(text(ENTRIES), {"id": twin.voucher_id})]
            for twin in twins
        ]
        assert rows[0] == rows[1]
    assert short > len(CAMPAIGNS)
    await vouchers_sound(db)


def _told(part: Any) -> tuple[object, ...]:
    return (part.verdict, part.quantity, part.amount_minor, part.left, part.entry_id is None)


async def test_it_is_one_statement_by_code_and_by_number(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, campaign(uses=9))
    voucher = await given(db)
    [code] = (await code_key(db, keyring=KEYRING)).codes([voucher.voucher_id])
    sent: list[str] = []
    engine = db.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *facts: sent.append(facts[2]))

    async def statements(key: str, asked: VoucherAsked, of: Bill | None = None) -> int:
        sent.clear()
        answer = await redeemed(db, shops["hotel"], [asked], key=key, of=of)
        assert answer.outcome is Verdict.TAKEN
        return len(sent)

    by_code = VoucherAsked(code=code)
    by_number = VoucherAsked(voucher_id=voucher.voucher_id)
    met(db).terms.clear()
    assert await statements("a", by_code) == 3
    assert await statements("b", by_code) == 1
    assert await statements("c", by_number) == 1
    assert await statements("b", by_code) == 1  # said again: the first answer
    # Another key, or other terms by the same number, are found out by the database.
    [(version, terms)] = met(db).terms.items()
    met(db).terms.clear()
    met(db).terms["1.0"] = terms
    assert await statements("d", by_number) == 3
    assert met(db).terms[version] == terms
    met(db).sealed = b"another"
    assert await statements("e", by_code) == 4
    assert await left(db, voucher) == (0, 5, 4)
    await vouchers_sound(db)
