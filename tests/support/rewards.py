"""A catalogue of three rewards, and orders of them: what the rewards tests share."""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.rewards.cancel import cancel
from hub.benefits.rewards.codes import OrderState
from hub.benefits.rewards.configure import RewardConfig, RewardText
from hub.benefits.rewards.order import OrderAnswer, Shop, order
from hub.benefits.rewards.step import Standing
from hub.crypto.keyring import Keyring

KEYRING = Keyring.generate()
START = datetime(2020, 1, 1, tzinfo=UTC)


def reward(code: str, business: str, points: int, **terms: Any) -> RewardConfig:
    facts: dict[str, Any] = {
        "effective_from": START,
        "category": "goods",
        "currency": "CNY",
        "texts": {"en": RewardText(title=code.title()), "zh": RewardText(title="礼品")},
        **terms,
    }
    return RewardConfig(code=code, business=business, points=points, **facts)


async def order_one(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    code: str,
    key: str,
    at: datetime,
    zone: str = "Asia/Shanghai",
) -> OrderAnswer:
    return await order(
        db,
        member_id=member_id,
        reward_code=code,
        shop=Shop(business_id=business_id, business_date=at.date()),
        actor="test",
        idempotency_key=key,
        today=at.date(),
        now=at,
        time_zone=zone,
        keyring=KEYRING,
    )


async def end_one(
    db: AsyncConnection,
    order_id: int,
    *,
    at: datetime,
    to: OrderState = OrderState.CANCELLED,
    restock: bool = True,
) -> Standing:
    day: date = at.date()
    return await cancel(
        db,
        order_id=order_id,
        actor="test",
        business_date=day,
        today=day,
        now=at,
        grace_days=30,
        to=to,
        restock=restock,
    )
