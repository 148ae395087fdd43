"""A restaurant's till and a guest with a voucher, a dessert and points: what carts' tests share."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.asked import CartAsked, Counter
from hub.benefits.carts.redeem_cart import redeem_cart
from hub.benefits.carts.refund_cart import refund_cart
from hub.benefits.carts.reserve_cart import reserve_cart
from hub.benefits.configure import configure
from hub.benefits.definitions import BenefitConfig
from hub.benefits.entitlements import verify as entitlements_verify
from hub.benefits.entitlements.grant_entitlement import grant_entitlement
from hub.benefits.entitlements.queries import entitlements
from hub.benefits.quoting.cart import Line
from hub.benefits.vouchers.configure import CampaignConfig
from hub.benefits.vouchers.queries import Voucher
from hub.ledger.queries import balances
from hub.ledger.verify import verify
from hub.programme.apply_policies import apply_policies
from hub.programme.policy_config import AcceptanceRuleConfig, PoliciesConfig, TillPolicyConfig
from tests.support.ledger import give
from tests.support.vouchers import (
    DAY,
    KEYRING,
    NOW,
    START,
    campaign,
    given,
    left,
    make_campaigns,
    vouchers_sound,
)

ZONE = "Asia/Shanghai"
DESSERT = BenefitConfig(
    code="dessert",
    effective_from=START,
    name="Dessert",
    name_zh="甜品",
    kind="free_item",
    funder="hotel",
    price_minor=1500,
    currency="CNY",
    offered_at=["dining"],
    parameters={"category": "dessert"},
)
CART = CartAsked(
    lines=(
        Line(id="dinner", unit_price_minor=3_333, quantity=3, category="food"),
        Line(id="cake", unit_price_minor=2_000, category="dessert"),
    ),
    currency="CNY",
    points=2_000,
)


class Shop:
    """The restaurant's till, with a member who has a voucher, a dessert and 5 000 points."""

    def __init__(self, db: AsyncConnection, counter: Counter, voucher: Voucher) -> None:
        self.db, self.counter, self.voucher = db, counter, voucher

    async def has(self) -> tuple[int, int, int]:
        """What is free: uses of the voucher, desserts, points."""
        at = self.counter.now
        quotas = (await entitlements(self.db, member_ids=[1], now=at))[1]
        have = await balances(self.db, member_ids=[1], today=DAY, now=at)
        return (
            (await left(self.db, self.voucher, at=at))[2],
            sum(one.remaining for one in quotas),
            have[1].available,
        )

    async def reserve(self, key: str = "k", asked: CartAsked = CART, **more: Any) -> Any:
        return await reserve_cart(
            self.db, counter=self.counter, member_id=1, asked=asked, key=key, **more
        )

    async def redeem(self, key: str = "k", **more: Any) -> Any:
        return await redeem_cart(self.db, counter=self.counter, key=key, **more)

    async def refund(self, refund_key: str, lines: dict[str, int] | None = None) -> Any:
        return await refund_cart(
            self.db, counter=self.counter, key="k", refund_key=refund_key, lines=lines
        )


async def open_shop(
    db: AsyncConnection,
    *,
    campaigns: Sequence[CampaignConfig] = (),
    desserts: int = 1,
    points: int = 5_000,
) -> Shop:
    """Give member 1 a voucher of each campaign (unsaid, ¥10 off once), desserts and points."""
    campaigns = campaigns or [campaign()]
    businesses = await make_campaigns(db, *campaigns)
    await configure(db, tiers=[], benefits=[DESSERT])
    await apply_policies(
        db,
        config=PoliciesConfig(
            acceptance_rules=(
                AcceptanceRuleConfig(
                    business="dining",
                    effective_from=START,
                    step_points=100,
                    maximum_share=Decimal(1),
                    point_value=Decimal("0.01"),
                ),
            ),
            till_policies=(
                TillPolicyConfig(
                    business="dining", effective_from=START, bill_share=Decimal("0.5")
                ),
            ),
        ),
        business_ids={code: one.business_id for code, one in businesses.items()},
    )
    await grant_entitlement(
        db,
        member_id=1,
        benefit_code="dessert",
        quantity=desserts,
        source="staff",
        source_id="test",
        starts_on=DAY,
        ends_on=DAY + timedelta(days=30),
        now=NOW,
    )
    await give(db, 1, points)
    counter = Counter(
        business=businesses["dining"],
        business_date=DAY,
        today=DAY,
        now=NOW,
        time_zone=ZONE,
        keyring=KEYRING,
    )
    vouchers = [await given(db, one.code, source_id=one.code) for one in campaigns]
    return Shop(db, counter, vouchers[0])


async def all_sound(db: AsyncConnection) -> None:
    """Prove the invariants of points, vouchers and quotas."""
    assert await verify(db) == []
    await vouchers_sound(db)
    checks = entitlements_verify.CHECKS
    found = [await entitlements_verify.check(db, name) for name in checks]
    assert found == [None] * len(checks)
