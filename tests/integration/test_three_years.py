"""Three years of months that no cent divides: nothing is left over, in any book."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.movements import MovementKind
from hub.accounting.recognise import recognise
from hub.points.expire import expire
from hub.programme.chart import Purpose
from hub.settlement.netting import round_to_minor
from tests.support.accounting import Shops, account_for, closed, expect, make_selling_group
from tests.support.journals import booked, give_charts, posted
from tests.support.settlement import agreement, noon

FIRST, PERIODS, SELLING = 2026, 36, 32
K = MovementKind


def month(n: int) -> date:
    return date(FIRST + n // 12, n % 12 + 1, 1)


async def test_thirty_six_months_leave_nothing_over(db: AsyncConnection) -> None:
    codes = ("retail", "hotel")
    deals = [agreement("retail", "hotel", "0.00777777"), agreement("hotel", "retail", "0.0033")]
    ids = await make_selling_group(db, deals, points_per_unit="1.7", codes=codes, months=2)
    await give_charts(db, *(f"{code}-ltd" for code in codes))
    for business_id, value in zip(ids.values(), ("0.0131", "0.0077"), strict=True):
        await account_for(db, business_id, value=value, since=month(0))
    shops = Shops(db, ids)
    books = {code: dict.fromkeys(Purpose, 0) for code in codes}
    ends = []
    deferred = Decimal(0)
    for n in range(PERIODS):
        first, at = month(n), datetime.combine(month(n + 1), datetime.min.time(), UTC)
        for code, business_id in ids.items():
            await expect(db, business_id, f"0.{60 + (n * 7) % 37}", since=first)
            if n < SELLING:
                await shops.sell(code, business_id, 33_333 + 101 * n, first.replace(day=3))
                await shops.redeem("hotel", business_id, 97 + n, first.replace(day=9))
        await expire(db, today=first.replace(day=28), now=noon(first.replace(day=28)))
        period = await closed(db, f"{first:%Y-%m}", at)
        rolls = await recognise(db, period_id=period.period_id, actor="wei", now=at)
        for entity, journal in (await posted(db, period.period_id, at)).items():
            for purpose, minor in booked(journal).items():
                books[entity.removesuffix("-ltd")][purpose] += minor
        deferred += sum((roll.of(K.DEFERRED).amount for roll in rolls), Decimal(0))
        for roll in rolls:
            end = roll.of(K.CLOSING)
            assert end.minor == round_to_minor(end.amount, "CNY") == roll.proof.minor
            book = books["retail" if roll.owner_id == ids["retail"] else "hotel"]
            assert -book[Purpose.CONTRACT_LIABILITY] == end.minor
        ends.append([(roll.of(K.OPENING).minor, roll.of(K.CLOSING).minor) for roll in rolls])
    for before, after in pairwise(ends):
        assert [closing for _, closing in before] == [opening for opening, _ in after]
    assert [closing for _, closing in ends[-1]] == [0, 0]
    earned = (Purpose.POINTS_REVENUE, Purpose.BREAKAGE_REVENUE, Purpose.CATCH_UP_REVENUE)
    for book in books.values():
        assert sum(book.values()) == 0
        assert sum(book[purpose] for purpose in earned) == -book[Purpose.GOODS_REVENUE]
    taken = sum(book[Purpose.GOODS_REVENUE] for book in books.values())
    # A month's movements are rounded so that they add up: each kind is off by less than two cents
    # a month, the balance never.
    assert abs(taken - deferred * 100) < 2 * PERIODS
    owed = (Purpose.RECEIVABLE, Purpose.PAYABLE)
    assert sum(book[side] for book in books.values() for side in owed) == 0
