"""A group that takes referrals, and people who come and buy: what the tests of referrals share."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.configure import configure
from hub.benefits.referrals.configure import ReferralConfig, configure_referrals
from hub.benefits.referrals.judge_referrals import judge_referrals
from hub.benefits.referrals.refer import Source, refer
from hub.benefits.tiers.configure import LadderConfig, TierConfig
from hub.benefits.tiers.count_refund import count_refund
from hub.benefits.tiers.count_sales import CountedSale, count_sales
from hub.benefits.tiers.promote import promote
from hub.connector import Hint, HintType
from hub.crypto.keyring import Keyring
from hub.members.resolve import Sighting, resolve
from tests.support.benefits import SPRING, START, ZONE
from tests.support.settlement import make_group

KEYRING = Keyring.generate()


def terms(**said: Any) -> ReferralConfig:
    facts = {"effective_from": START, "min_spend_minor": 100_00, "currency": "CNY", **said}
    return ReferralConfig.model_validate(facts)


class Town:
    """Members by their first account's id, and what they do, each step as its edge would do it."""

    def __init__(self, db: AsyncConnection, ids: dict[str, int]) -> None:
        self.db = db
        self.ids = ids
        self.of: dict[int, int] = {}
        """The account of each bill."""

    @classmethod
    async def open(cls, db: AsyncConnection, *config: ReferralConfig) -> "Town":
        """Configure a group in which two referrals of a year, and nothing else, make gold."""
        ids = await make_group(db, [])
        facts = {"effective_from": START, "name": "n", "name_zh": "n"}
        group = LadderConfig.model_validate({"code": "group", "currency": "CNY", **facts})
        ladder = [
            TierConfig.model_validate({"code": "iron", "rank": 1, **facts}),
            TierConfig.model_validate(
                {"code": "gold", "rank": 2, "reach": {"referrals": 2}, **facts}
            ),
        ]
        await configure(db, ladders=[group], tiers=ladder, benefits=[])
        await configure_referrals(db, referrals=config or [terms()], keyring=KEYRING)
        return cls(db, ids)

    async def come(
        self, name: str, at: datetime = SPRING, business: str = "retail", **said: str
    ) -> int:
        """Let somebody be seen at a business; returns their account."""
        hints = tuple(
            Hint(type=HintType(kind), value=value, verified=kind == "phone")
            for kind, value in {"name": name, **said}.items()
        )
        sighting = Sighting(
            business_id=self.ids[business], external_id=name, hints=hints, seen_at=at
        )
        [seen] = await resolve(self.db, people=[sighting], now=at, keyring=KEYRING)
        assert seen.account_id is not None
        return seen.account_id

    async def member(self, account_id: int) -> int:
        found = await self.db.scalar(text("SELECT account_holder(:a)"), {"a": account_id})
        return int(found or 0)

    async def say(self, account_id: int, referrer: int, at: datetime = SPRING) -> None:
        changed = await refer(
            self.db,
            account_id=account_id,
            referrer=referrer,
            source=Source.TILL,
            said_at=at,
            now=at,
        )
        await self._promote(changed, at)

    async def buy(
        self,
        account_id: int,
        key: str,
        spend: int = 100_00,
        at: datetime = SPRING + timedelta(hours=1),
        business: str = "retail",
    ) -> None:
        sale = CountedSale(
            account_id=account_id,
            business_id=self.ids[business],
            business_date=at.date(),
            occurred_at=at,
            key=key,
            spend_minor=spend,
            paid_minor=spend,
            currency="CNY",
        )
        await count_sales(self.db, sales=[sale])
        who = await self.member(account_id)
        changed = await judge_referrals(self.db, member_ids=[who], since=at, now=at)
        await self._promote({who, *changed}, at)

    async def give_back(
        self, account_id: int, sale: str, key: str, minor: int | None, at: datetime = SPRING
    ) -> None:
        await count_refund(
            self.db, account_id=account_id, sale=sale, key=key, refunded_minor=minor, occurred_at=at
        )
        who = await self.member(account_id)
        changed = await judge_referrals(self.db, member_ids=[who], since=None, now=at)
        await self._promote({who, *changed}, at)

    async def outcomes(self) -> list[str]:
        rows = await self.db.scalars(text("SELECT outcome FROM referral ORDER BY referral_id"))
        return list(rows)

    async def counted(self, account_id: int) -> int:
        """What the ladder counts of an account."""
        found = await self.db.scalar(
            text("SELECT sum(referrals) FROM qualifying_activity WHERE account_id = :a"),
            {"a": account_id},
        )
        return int(found or 0)

    async def tier(self, account_id: int) -> str | None:
        found: str | None = await self.db.scalar(
            text("""
              SELECT code FROM member_tier JOIN tier USING (tier_id)
              WHERE member_id = account_holder(:a) AND until IS NULL"""),
            {"a": account_id},
        )
        return found

    async def _promote(self, member_ids: set[int], at: datetime) -> None:
        await promote(self.db, member_ids=sorted(member_ids), now=at, time_zone=ZONE)
