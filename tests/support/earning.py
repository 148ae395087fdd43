"""Rules and bills, in short: what the tests of earning share."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.points.sale import Sale
from hub.programme.apply import (
    BusinessConfig,
    EarningRuleConfig,
    GroupConfig,
    ProgrammeConfig,
    apply,
)
from hub.programme.bill import Bill, BillLine, BillTender
from hub.programme.policy_config import ExpiryPolicyConfig
from hub.programme.rate_config import ExchangeRateConfig
from hub.programme.rates import read_multiplier, read_rate
from hub.programme.rule import EarningRule
from tests.support.ledger import NOON

ZONE = "Asia/Shanghai"
START = datetime(2020, 1, 1, tzinfo=UTC)
_keys = count()


def rule(
    points: str = "1",
    qualifying: str = "1",
    *,
    currency: str = "CNY",
    rates: Sequence[dict[str, Any]] = (),
    multipliers: Sequence[dict[str, Any]] = (),
    cap_per_event: int | None = None,
) -> EarningRule:
    """A rule of a business in Shanghai; rates and multipliers as a rule keeps them."""
    return EarningRule(
        rule_id=1,
        business_id=1,
        effective_from=START,
        currency=currency,
        time_zone=ZONE,
        day_starts_at_hour=0,
        points_per_unit=Decimal(points),
        qualifying_per_unit=Decimal(qualifying),
        cost_per_point=Decimal("0.008"),
        earning_line_kinds=frozenset({"item", "room"}),
        excluded_tender_kinds=frozenset({"points", "giftcard"}),
        rates=tuple(read_rate(r, qualifying_per_unit=Decimal(qualifying)) for r in rates),
        multipliers=tuple(read_multiplier(m) for m in multipliers),
        cap_per_event=cap_per_event,
    )


def lines_of(*sold: int | BillLine) -> tuple[BillLine, ...]:
    """Lines named 0, 1, …: a number is an item that sold for it."""
    return tuple(
        one if isinstance(one, BillLine) else BillLine(id=str(i), kind="item", net_minor=one)
        for i, one in enumerate(sold)
    )


def bill(
    *sold: int | BillLine,
    tenders: tuple[BillTender, ...] = (),
    currency: str = "CNY",
    occurred_at: datetime = NOON,
    outlet: str | None = None,
    exchange_rate: str | None = None,
) -> Bill:
    """A bill without tax."""
    lines = lines_of(*sold)
    return Bill(
        occurred_at=occurred_at,
        currency=currency,
        total_minor=sum(line.net_minor for line in lines),
        lines=lines,
        tenders=tenders,
        outlet=outlet,
        exchange_rate=None if exchange_rate is None else Decimal(exchange_rate),
    )


def sale(*sold: int | BillLine, **facts: Any) -> Sale:
    """A sale of member 1 at business 1, at noon unless told otherwise, under a key of its own."""
    lines = lines_of(*sold)
    at: datetime = facts.get("occurred_at", NOON)
    return Sale(
        **{
            "business_id": 1,
            "idempotency_key": f"sale-{next(_keys)}",
            "member_id": 1,
            "account_id": 10,
            "occurred_at": at,
            "business_date": at.date(),
            "currency": "CNY",
            "total_minor": sum(line.net_minor for line in lines),
            "lines": lines,
            "tenders": (),
            **facts,
        }
    )


def shop(
    *rules: dict[str, Any],
    exchange_rates: Sequence[ExchangeRateConfig] = (),
    **more: Any,
) -> ProgrammeConfig:
    """A group of one shop with versions of its earning rule."""
    said = {
        "expiry_policies": (ExpiryPolicyConfig(effective_from=START, months=12),),
        "exchange_rates": tuple(exchange_rates),
        **more,
    }
    return ProgrammeConfig(
        group=GroupConfig(name="Three Rivers", time_zone=ZONE, currency="CNY"),
        businesses=[
            BusinessConfig(
                code="shop",
                name="Shop",
                kind="retail",
                legal_entity="shop-ltd",
                legal_name="Shop Ltd",
                currency="CNY",
                country="CN",
                time_zone=ZONE,
            )
        ],
        earning_rules=tuple(
            EarningRuleConfig(
                **{
                    "business": "shop",
                    "effective_from": START,
                    "points_per_unit": "1",
                    "qualifying_per_unit": "1",
                    "cost_per_point": "0.008",
                    **version,
                }
            )
            for version in (rules or ({},))
        ),
        **said,
    )


async def open_shop(
    db: AsyncConnection,
    *rules: dict[str, Any],
    exchange_rates: Sequence[ExchangeRateConfig] = (),
    **more: Any,
) -> None:
    """Configure the group; its shop is business 1."""
    await apply(db, config=shop(*rules, exchange_rates=exchange_rates, **more))


def yen(rate: str, *, since: date = date(2020, 1, 1)) -> ExchangeRateConfig:
    """What a yen is worth in yuan."""
    return ExchangeRateConfig(
        from_currency="JPY", to_currency="CNY", effective_from=since, rate=Decimal(rate)
    )
