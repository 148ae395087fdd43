"""A group whose points are accounted for: what the accounting tests share."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.approve_estimate import approve_estimate
from hub.accounting.movements import RollForward
from hub.accounting.propose_estimate import propose_estimate
from hub.accounting.recognise import recognise
from hub.accounting.set_policy import set_policy
from hub.ledger.post import OpeningRequest, post_openings
from hub.points.clawback import clawback
from hub.points.earn import earn
from hub.points.sale import Sale
from hub.points.undo import Refunded
from hub.programme.agree import AgreementConfig
from hub.programme.apply import (
    BusinessConfig,
    EarningRuleConfig,
    GroupConfig,
    ProgrammeConfig,
    apply,
)
from hub.programme.bill import BillLine
from hub.programme.policy_config import ExpiryPolicyConfig
from hub.programme.queries import businesses
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from hub.settlement.queries import Period
from tests.support.settlement import COMPANY, KINDS, Tills, noon

START = datetime(2020, 1, 1, tzinfo=UTC)


async def make_selling_group(
    db: AsyncConnection,
    agreements: list[AgreementConfig],
    *,
    points_per_unit: str,
    currency: str = "CNY",
    codes: tuple[str, ...] = tuple(KINDS),
    months: int | None = None,
) -> dict[str, int]:
    """Configure businesses that sell under one rule, and return their ids by code.

    Points live for `months`, or for ever.
    """
    lasting = ExpiryPolicyConfig(
        effective_from=START, mode="never" if months is None else "months", months=months
    )
    await apply(
        db,
        config=ProgrammeConfig(
            group=GroupConfig(name="Three Rivers", time_zone="Asia/Shanghai", currency="CNY"),
            businesses=[
                BusinessConfig(
                    code=code,
                    name=code.title(),
                    kind="programme" if code == COMPANY else KINDS.get(code, "retail"),
                    legal_entity=f"{code}-ltd",
                    legal_name=f"{code} Ltd",
                    currency=currency,
                    country="CN",
                    time_zone="Asia/Shanghai",
                )
                for code in codes
            ],
            earning_rules=[
                EarningRuleConfig(
                    business=code,
                    effective_from=START,
                    points_per_unit=Decimal(points_per_unit),
                    qualifying_per_unit=Decimal(points_per_unit),
                    cost_per_point=Decimal("0.008"),
                )
                for code in codes
                if code != COMPANY
            ],
            expiry_policies=[lasting],
            agreements=agreements,
        ),
    )
    return {business.code: business.business_id for business in await businesses(db)}


class Shops(Tills):
    """Tills that also sell, take back, and bring what members had before.

    `currencies` are those of businesses that do not sell for yuan.
    """

    currencies: Mapping[str, str] = {}

    async def sell(self, issuer: str, member_id: int, price_minor: int, day: date) -> int:
        """Sell for a price net of tax, through the earn verb; return the earn's transaction."""
        sale = Sale(
            business_id=self.ids[issuer],
            idempotency_key=self._key(),
            member_id=member_id,
            account_id=member_id * 10,
            occurred_at=noon(day),
            business_date=day,
            currency=self.currencies.get(issuer, "CNY"),
            total_minor=price_minor,
            lines=(BillLine(id="1", kind="item", net_minor=price_minor),),
            tenders=(),
        )
        (earned,) = await earn(self.db, sales=[sale], now=noon(day))
        assert earned.tx_id is not None
        return earned.tx_id

    async def refund(
        self, issuer: str, member_id: int, earn_tx: int, amount_minor: int, day: date
    ) -> None:
        """Refund a part of a sale, through the clawback verb."""
        await clawback(
            self.db,
            business_id=self.ids[issuer],
            member_id=member_id,
            account_id=member_id * 10,
            earn_tx=earn_tx,
            refund=Refunded(
                nets={"1": amount_minor}, unallocated_minor=0, amount_minor=amount_minor
            ),
            idempotency_key=self._key(),
            occurred_at=noon(day),
            business_date=day,
            now=noon(day),
        )

    async def bring(
        self, issuer: str, member_id: int, points: int, day: date, *, expires_on: date | None = None
    ) -> None:
        """Bring in points that a member had before the hub."""
        await post_openings(
            self.db,
            [
                OpeningRequest(
                    business_id=self.ids[issuer],
                    idempotency_key=f"opening:{self._key()}",
                    member_id=member_id,
                    account_id=member_id * 10,
                    points=points,
                    unit=1,
                    cost_rate=Decimal("0.008"),
                    expires_on=expires_on,
                    earned_at=noon(day),
                    occurred_at=noon(day),
                    business_date=day,
                )
            ],
        )


async def account_for(
    db: AsyncConnection,
    issuer_id: int,
    *,
    value: str,
    since: date,
    role: str = "principal",
    portfolio: str = "month",
) -> None:
    """Say how an issuer's points are accounted for."""
    await set_policy(
        db,
        issuer_id=issuer_id,
        effective_from=since,
        point_value=Decimal(value),
        role=role,
        portfolio=portfolio,
        actor="wei",
        now=noon(since),
    )


async def expect(
    db: AsyncConnection,
    issuer_id: int,
    rate: str,
    *,
    since: date,
    cohort: date | None = None,
) -> None:
    """Let a rate of redemption be in force: Mei proposes it, Wei approves it."""
    made = await propose_estimate(
        db,
        issuer_id=issuer_id,
        rate=Decimal(rate),
        effective_from=since,
        cohort=cohort,
        maker="mei",
        reason="as in the years before",
        now=noon(since),
    )
    await approve_estimate(db, estimate_id=made.estimate_id, checker="wei", now=noon(since))


async def closed(db: AsyncConnection, code: str, at: datetime) -> Period:
    """Open and close a period."""
    period = await open_period(db, code=code, now=at)
    return (await close(db, period_id=period.period_id, now=at)).period


async def recognised(db: AsyncConnection, code: str, at: datetime) -> list[RollForward]:
    """Close a period and recognise it."""
    period = await closed(db, code, at)
    return await recognise(db, period_id=period.period_id, actor="wei", now=at)
