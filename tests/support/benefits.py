"""A group with a ladder and two benefits: what the benefits tests share."""

from datetime import UTC, date, datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.configure import configure
from hub.benefits.definitions import BenefitConfig
from hub.benefits.tiers.configure import TierConfig
from hub.ledger.post import EarnRequest, post_clawback, post_earns
from tests.support.settlement import make_group, noon

ZONE = "Asia/Shanghai"
START = datetime(2026, 1, 1, tzinfo=UTC)
SPRING = noon(date(2026, 3, 10))


def tier(code: str, name_zh: str, rank: int, threshold: int, since: datetime = START) -> TierConfig:
    return TierConfig(
        code=code,
        effective_from=since,
        name=code.title(),
        name_zh=name_zh,
        rank=rank,
        threshold=threshold,
    )


LADDER = [
    tier("iron", "铁", 10, 0),
    tier("bronze", "铜", 20, 1000),
    tier("silver", "银", 30, 2000),
]


def late_checkout(
    *, quota: int = 2, price_minor: int = 8800, since: datetime = START
) -> BenefitConfig:
    return BenefitConfig(
        code="late-checkout",
        effective_from=since,
        name="Late check-out",
        name_zh="延迟退房",
        kind="late_checkout",
        tier="bronze",
        quota=quota,
        funder="retail",
        price_minor=price_minor,
        currency="CNY",
        offered_at=["hotel", "dining"],
    )


async def make_ladder(
    db: AsyncConnection, *, benefits: list[BenefitConfig] | None = None, members: int = 3
) -> dict[str, int]:
    """Configure the group and its ladder, create members 1, 2, …; returns the businesses' ids."""
    ids = await make_group(db, [])
    chosen = [late_checkout()] if benefits is None else benefits
    await configure(db, tiers=LADDER, benefits=chosen)
    await db.execute(
        text("INSERT INTO member (member_id, created_at) SELECT generate_series(1, :n), :at"),
        {"n": members, "at": START},
    )
    return ids


async def qualify(
    db: AsyncConnection,
    member_id: int,
    points: int,
    at: datetime,
    *,
    key: str,
    business_id: int = 1,
) -> int:
    """Post an earn of qualifying points only; returns its transaction."""
    request = EarnRequest(
        business_id=business_id,
        idempotency_key=key,
        member_id=member_id,
        account_id=member_id,
        points=0,
        qualifying=points,
        rule_id=None,
        cost_rate=Decimal(0),
        expires_on=None,
        occurred_at=at,
        business_date=at.date(),
    )
    (tx_id,) = (await post_earns(db, [request])).values()
    return tx_id


async def refund(
    db: AsyncConnection, member_id: int, earn_tx: int, points: int, at: datetime, *, key: str
) -> None:
    """Take qualifying points of an earn back."""
    await post_clawback(
        db,
        business_id=1,
        idempotency_key=key,
        member_id=member_id,
        account_id=member_id,
        earn_tx=earn_tx,
        points=0,
        qualifying=points,
        occurred_at=at,
        business_date=at.date(),
        now=at,
    )
