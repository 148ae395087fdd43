"""Points sold at issue: every line, whose it is and at which price, whatever becomes of the lot."""

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.ledger.codes import Kind, ShortfallMode
from hub.ledger.post import post_adjustment, post_clawback, post_move, post_reinstatement
from hub.points.expire import expire
from hub.programme.agree import AgreementConfig
from hub.settlement.codes import LineKind
from hub.settlement.freeze_flows import freeze_flows
from hub.settlement.open_period import open_period
from hub.settlement.place import place
from hub.settlement.queries import obligations
from tests.support.accounting import Shops, closed, make_selling_group
from tests.support.settlement import COMPANY, agreement, noon, sale

SHOPS = ("retail", "hotel", "dining")
OCTOBER, NOVEMBER, DECEMBER = date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1)
ENDS = {
    10: datetime(2026, 11, 1, tzinfo=UTC),
    11: datetime(2026, 12, 1, tzinfo=UTC),
    12: datetime(2027, 1, 1, tzinfo=UTC),
}
Line = tuple[str, str, str, int, str]
SOLD = ("issue", "retail", COMPANY)


def on(day: int) -> date:
    """A day of November."""
    return date(2026, 11, day)


async def town(db: AsyncConnection, *sales: AgreementConfig) -> Shops:
    """Retail buys its points from November on, at 0.01; whoever takes them gets 0.008 for each."""
    ids = await make_selling_group(
        db,
        [
            *(sales or [sale("retail", "0.01", since=NOVEMBER)]),
            *(agreement(COMPANY, code, "0.008") for code in SHOPS),
            *(agreement(i, a, "0.007") for i in SHOPS for a in SHOPS if i != a),
        ],
        points_per_unit="1",
        codes=(*SHOPS, COMPANY),
    )
    return Shops(db, ids)


async def lines(shops: Shops, month: int) -> Counter[Line]:
    """Close a month and return its lines: kind, debtor, creditor, points and rate."""
    period = await closed(shops.db, f"2026-{month}", ENDS[month])
    names = {number: code for code, number in shops.ids.items()}
    return Counter(
        (
            LineKind(one.kind).name.lower(),
            names[one.debtor_id],
            names[one.creditor_id],
            one.points,
            "" if one.rate is None else f"{one.rate.normalize():f}",
        )
        for one in await obligations(shops.db, period_id=period.period_id, first=1000)
    )


def asked(shops: Shops, day: date, business: str = "retail") -> dict[str, Any]:
    return {
        "business_id": shops.ids[business],
        "idempotency_key": shops._key(),
        "occurred_at": noon(day),
        "business_date": day,
        "now": noon(day),
    }


async def adjust(shops: Shops, member: int, points: int, day: date) -> None:
    await post_adjustment(
        shops.db,
        member_id=member,
        account_id=member * 10,
        points=points,
        cost_rate=Decimal("0.008"),
        expires_on=None,
        reason="seen so",
        today=day,
        **asked(shops, day),
    )


async def move(shops: Shops, kind: Kind, ends: tuple[int, int], points: int, day: date) -> None:
    await post_move(
        shops.db,
        kind=kind,
        from_id=ends[0],
        to_id=ends[1],
        account_id=None,
        to_account_id=None,
        points=points,
        year=day.year,
        today=day,
        **asked(shops, day),
    )


async def take_back(shops: Shops, member: int, earn_tx: int, points: int, day: date) -> None:
    await post_clawback(
        shops.db,
        member_id=member,
        account_id=member * 10,
        earn_tx=earn_tx,
        points=points,
        qualifying=0,
        mode=ShortfallMode.OWED,
        limit=10_000,
        **asked(shops, day),
    )


async def test_the_issuer_pays_at_issue_and_the_company_wherever_points_are_taken(
    db: AsyncConnection,
) -> None:
    shops = await town(db)
    await shops.issue("retail", 1, 1_000, on(2))
    await shops.redeem("hotel", 1, 300, on(3))
    await shops.redeem("retail", 1, 200, on(4))
    assert await lines(shops, 11) == Counter(
        [
            ("issue", "retail", COMPANY, 1_000, "0.01"),
            ("redemption", COMPANY, "hotel", 300, "0.008"),
            ("redemption", COMPANY, "retail", 200, "0.008"),
        ]
    )


async def test_a_lot_from_before_stays_its_issuers(db: AsyncConnection) -> None:
    shops = await town(db)
    await shops.issue("retail", 1, 100, date(2026, 10, 31))
    assert await lines(shops, 10) == Counter()
    await shops.redeem("hotel", 1, 60, on(3))
    await shops.redeem("retail", 1, 40, on(4))
    assert await lines(shops, 11) == Counter([("redemption", "retail", "hotel", 60, "0.007")])


async def test_a_lot_is_the_same_lot_whoever_has_it(db: AsyncConnection) -> None:
    shops = await town(db)
    await shops.issue("retail", 1, 100, date(2026, 10, 31))
    await shops.issue("retail", 2, 100, on(2))
    for giver in (1, 2):
        await move(shops, Kind.TRANSFER, (giver, 3), 80, on(3))
    await move(shops, Kind.CONTRIBUTE, (3, 50), 160, on(4))
    await shops.redeem("hotel", 50, 130, on(5))
    await move(shops, Kind.LEAVE, (50, 3), 30, on(6))
    await shops.redeem("retail", 3, 30, on(7))
    assert await lines(shops, 11) == Counter(
        [
            (*SOLD, 100, "0.01"),
            ("redemption", "retail", "hotel", 80, "0.007"),
            ("redemption", COMPANY, "hotel", 50, "0.008"),
            ("redemption", COMPANY, "retail", 30, "0.008"),
        ]
    )


async def test_what_is_given_back_cancels_whatever_was_agreed_since(db: AsyncConnection) -> None:
    shops = await town(
        db,
        sale("retail", "0.01", since=NOVEMBER),
        agreement(COMPANY, "hotel", "0.009", since=on(5)),
    )
    await shops.issue("retail", 1, 100, on(2))
    redeemed = await shops.redeem("hotel", 1, 100, on(4))
    await shops.restore("hotel", 1, redeemed, 70, on(6))
    await shops.redeem("hotel", 1, 70, on(7))
    assert await lines(shops, 11) == Counter(
        [
            (*SOLD, 100, "0.01"),
            ("redemption", COMPANY, "hotel", 100, "0.008"),
            ("redemption", COMPANY, "hotel", -70, "0.008"),
            ("redemption", COMPANY, "hotel", 70, "0.009"),
        ]
    )


async def test_each_lot_has_the_price_of_its_day_also_when_it_is_taken_back_or_late(
    db: AsyncConnection,
) -> None:
    shops = await town(
        db,
        sale("retail", "0.01", since=NOVEMBER),
        sale("retail", "0.011", since=on(16)),
        sale("retail", "0.012", since=DECEMBER),
    )
    first = await shops.issue("retail", 1, 100, on(15))
    second = await shops.issue("retail", 1, 100, on(16))
    assert await lines(shops, 11) == Counter([(*SOLD, 100, "0.01"), (*SOLD, 100, "0.011")])
    await shops.issue("retail", 1, 10, on(30))  # told when November is closed
    await shops.issue("retail", 1, 20, DECEMBER)
    await shops.claw_back("retail", 1, first, 30, date(2026, 12, 5))
    await shops.claw_back("retail", 1, second, 40, date(2026, 12, 5))
    assert await lines(shops, 12) == Counter(
        [
            (*SOLD, 10, "0.011"), (*SOLD, 20, "0.012"), (*SOLD, -30, "0.01"), (*SOLD, -40, "0.011"),
        ]
    )  # fmt: skip


async def test_a_refund_gives_back_the_price_of_the_lots_that_it_takes(
    db: AsyncConnection,
) -> None:
    shops = await town(db)
    old = await shops.issue("retail", 1, 100, date(2026, 10, 31))
    bought = await shops.issue("retail", 1, 100, on(2), expires_on=date(2027, 1, 31))
    await shops.redeem("hotel", 1, 70, on(3))  # of what ends first
    await take_back(shops, 1, bought, 100, on(4))  # the 30 left of it, and 70 of the old lot
    await take_back(shops, 1, old, 10, on(5))
    assert await lines(shops, 11) == Counter(
        [
            (*SOLD, 100, "0.01"),
            (*SOLD, -30, "0.01"),
            ("redemption", COMPANY, "hotel", 70, "0.008"),
        ]
    )


async def test_what_a_member_owes_is_paid_back_at_once_and_again_when_it_is_repaid(
    db: AsyncConnection,
) -> None:
    """Points of December, bought at 0.012, are taken for those of November, bought at 0.01."""
    shops = await town(
        db, sale("retail", "0.01", since=NOVEMBER), sale("retail", "0.012", since=DECEMBER)
    )
    bought = await shops.issue("retail", 1, 100, on(2))
    await shops.redeem("hotel", 1, 100, on(3))
    await take_back(shops, 1, bought, 100, on(4))
    assert await lines(shops, 11) == Counter(
        [
            (*SOLD, 100, "0.01"),
            (*SOLD, -100, "0.01"),
            ("redemption", COMPANY, "hotel", 100, "0.008"),
        ]
    )
    await shops.issue("retail", 1, 60, DECEMBER)
    assert await lines(shops, 12) == Counter(
        [(*SOLD, 60, "0.012"), (*SOLD, -60, "0.012"), (*SOLD, 60, "0.01")]
    )


async def test_points_given_and_taken_by_staff_are_bought_too(db: AsyncConnection) -> None:
    shops = await town(db)
    await adjust(shops, 1, 50, on(2))
    await adjust(shops, 1, -20, on(3))
    assert await lines(shops, 11) == Counter([(*SOLD, 50, "0.01"), (*SOLD, -20, "0.01")])


@pytest.mark.parametrize("keeps", ["issuer", "programme"])
async def test_who_keeps_breakage(db: AsyncConnection, keeps: Any) -> None:
    shops = await town(db, sale("retail", "0.01", since=NOVEMBER, breakage_owner=keeps))
    lot = await shops.issue("retail", 1, 100, on(2), expires_on=on(10))
    await expire(db, today=on(11), now=noon(on(11)))
    await post_reinstatement(
        db, member_id=1, lot_id=lot, points=40, until=on(30), reason="ill", **asked(shops, on(12))
    )
    given_back = [
        ("breakage", COMPANY, "retail", 100, "0.01"),
        ("breakage", COMPANY, "retail", -40, "0.01"),
    ]
    assert await lines(shops, 11) == Counter(
        [(*SOLD, 100, "0.01"), *(given_back if keeps == "issuer" else [])]
    )


async def test_selling_ends_with_a_month_and_what_was_sold_stays_so(db: AsyncConnection) -> None:
    ended = agreement("retail", COMPANY, None, since=DECEMBER)
    shops = await town(db, sale("retail", "0.01", since=NOVEMBER), ended)
    await shops.issue("retail", 1, 100, on(30))
    assert await lines(shops, 11) == Counter([(*SOLD, 100, "0.01")])
    await shops.issue("retail", 1, 100, DECEMBER)
    await shops.redeem("hotel", 1, 150, date(2026, 12, 2))
    assert await lines(shops, 12) == Counter(
        [
            ("redemption", COMPANY, "hotel", 100, "0.008"),
            ("redemption", "retail", "hotel", 50, "0.007"),
        ]
    )


async def test_the_close_names_whom_the_company_has_no_price_for(db: AsyncConnection) -> None:
    ids = await make_selling_group(
        db,
        [sale("retail", "0.01", since=NOVEMBER), agreement(COMPANY, "hotel", "0.008")],
        points_per_unit="1",
        codes=(*SHOPS, COMPANY),
    )
    shops = Shops(db, ids)
    await shops.issue("retail", 1, 100, on(2))
    for acceptor in SHOPS:
        await shops.redeem(acceptor, 1, 10, on(3))
    with pytest.raises(Rejected) as told:
        await closed(db, "2026-11", ENDS[11])
    assert told.value.facts["pairs"] == [f"{COMPANY}>retail", f"{COMPANY}>dining"]


async def test_days_that_are_placed_again_add_nothing(db: AsyncConnection) -> None:
    shops = await town(db, sale("retail", "0.01", since=NOVEMBER, breakage_owner="issuer"))
    await shops.issue("retail", 1, 100, on(2), expires_on=on(10))
    await shops.redeem("retail", 1, 40, on(3))
    await expire(db, today=on(11), now=noon(on(11)))
    period = await open_period(db, code="2026-11", now=noon(on(1)))
    async with db.begin_nested() as tried:
        await db.exec_driver_sql("UPDATE settlement_period SET state = 'closing'")
        snapshot = await freeze_flows(db, period_id=period.period_id)
        placed = [
            await place(db, period=period, from_date=first, to_date=last, snapshot=snapshot)
            for first, last in ((on(1), on(2)), (on(2), on(9)), (on(3), on(30)), (None, on(30)))
        ]
        await tried.rollback()
    assert placed == [1, 1, 1, 0]
