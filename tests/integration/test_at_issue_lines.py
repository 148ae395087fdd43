"""Points sold at issue: every line, whose it is and at which price, whatever becomes of the lot."""

from collections import Counter
from datetime import UTC, date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.programme.apply import AgreementConfig
from hub.settlement.codes import LineKind
from hub.settlement.queries import Obligation, obligations
from tests.support.accounting import Shops, closed, make_selling_group
from tests.support.settlement import COMPANY, agreement, sale

CODES = ("retail", "hotel", "dining", COMPANY)
NOVEMBER = date(2026, 11, 1)
ENDS = {10: datetime(2026, 11, 1, tzinfo=UTC), 11: datetime(2026, 12, 1, tzinfo=UTC),
    12: datetime(2027, 1, 1, tzinfo=UTC)}  # fmt: skip
Line = tuple[str, str, str, int, str]


def day(of_november: int) -> date:
    return date(2026, 11, of_november)


async def town(db: AsyncConnection, *agreements: AgreementConfig) -> Shops:
    """Retail sells its points from November on at 0.01; who takes them gets 0.008."""
    shops = ("retail", "hotel", "dining")
    ids = await make_selling_group(
        db,
        [
            *(agreements or [sale("retail", "0.01", since=NOVEMBER)]),
            *(agreement(COMPANY, code, "0.008") for code in shops),
            *(agreement(i, a, "0.007") for i in shops for a in shops if i != a),
        ],
        points_per_unit="1",
        codes=CODES,
    )
    return Shops(db, ids)


async def lines(shops: Shops, month: int) -> Counter[Line]:
    """Close a month and return its lines: kind, debtor, creditor, points and rate."""
    period = await closed(shops.db, f"2026-{month}", ENDS[month])
    names = {number: code for code, number in shops.ids.items()}
    found: list[Obligation] = await obligations(shops.db, period_id=period.period_id, first=1000)
    return Counter(
        (
            LineKind(one.kind).name.lower(),
            names[one.debtor_id],
            names[one.creditor_id],
            one.points,
            f"{one.rate.normalize():f}" if one.rate is not None else "",
        )
        for one in found
    )


async def test_the_issuer_pays_at_issue_and_the_company_wherever_points_are_taken(
    db: AsyncConnection,
) -> None:
    shops = await town(db)
    await shops.issue("retail", 1, 1_000, day(2))
    await shops.redeem("hotel", 1, 300, day(3))
    await shops.redeem("retail", 1, 200, day(4))
    assert await lines(shops, 11) == Counter(
        [
            ("issue", "retail", COMPANY, 1_000, "0.01"),
            ("redemption", COMPANY, "hotel", 300, "0.008"),
            ("redemption", COMPANY, "retail", 200, "0.008"),
        ]
    )
