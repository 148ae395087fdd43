"""A group with members who bought and were granted benefits, for the GraphQL benchmarks."""

from datetime import datetime, timedelta
from random import Random

from rich.progress import track
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.campaigns.grant_to_many import grant_to_many
from hub.benefits.campaigns.open_campaign import Campaign, open_campaign
from hub.benefits.definitions import BenefitConfig
from hub.benefits.tiers.promote import promote
from hub.benefits.year import year_of
from hub.clock import business_date, now
from hub.connector import Hint, HintType
from hub.crypto.keyring import Keyring
from hub.entrypoints.commands.programme import GroupFile, apply_group, read_group
from hub.entrypoints.sample import GROUP_FILE
from hub.members.resolve import Sighting, resolve
from hub.points.earn import earn
from hub.points.sale import Sale
from hub.programme.bill import BillLine
from hub.programme.queries import businesses, programme

BATCH = 500
SALES = 6
BENEFITS = tuple(f"benefit-{n}" for n in range(10))
"""A member's card shows ten."""


def group() -> GroupFile:
    """The sample group, with ten benefits more, without what speaks to others."""
    stripped = dict.fromkeys(
        ("connections", "subscriptions", "payment_accounts", "clearing_accounts"), ()
    )
    sample = read_group(GROUP_FILE)
    benefits = [
        BenefitConfig(
            code=code,
            effective_from=sample.benefits[0].effective_from,
            name=code.capitalize(),
            name_zh="礼遇",
            kind="priority_service",
            funder="lakeside-hotel",
            price_minor=1000,
            currency="CNY",
            offered_at=["lakeside-hotel"],
        )
        for code in BENEFITS
    ]
    return sample.model_copy(update={**stripped, "benefits": (*sample.benefits, *benefits)})


async def open_group(url: str, keyring: Keyring) -> None:
    """Configure the group on an empty database."""
    await apply_group(url, keyring, group())


async def fill(engine: AsyncEngine, keyring: Keyring, members: int) -> list[int]:
    """Have businesses see people and sell to them; returns the members."""
    random, at, found = Random(7), now(), []
    async with engine.connect() as db:
        shops = [one for one in await businesses(db) if one.kind in ("retail", "hotel", "dining")]
        zone = (await programme(db)).time_zone
    async with engine.begin() as db:
        campaigns = [await _campaign(db, code, at=at, zone=zone) for code in BENEFITS]
    for first in track(range(0, members, BATCH), description="members"):
        people = [
            Sighting(
                business_id=random.choice(shops).business_id,
                external_id=f"c-{n}",
                hints=(
                    Hint(type=HintType.NAME, value=f"Guest {n}", verified=False),
                    Hint(type=HintType.PHONE, value=f"+86139{n:08}", verified=True),
                ),
                seen_at=at,
            )
            for n in range(first, first + BATCH)
        ]
        async with engine.begin() as db:
            seen = [
                (one.member_id, one.account_id, sighting.business_id)
                for one, sighting in zip(
                    await resolve(db, people=people, now=at, keyring=keyring), people, strict=True
                )
            ]
            ids = [member_id for member_id, _, _ in seen if member_id is not None]
            currencies = {shop.business_id: shop.currency for shop in shops}
            for n in range(SALES):
                when = at - timedelta(days=random.randint(0, 200))
                await earn(
                    db,
                    sales=[
                        Sale(
                            business_id=business_id,
                            idempotency_key=f"sale-{member_id}-{n}",
                            member_id=member_id,
                            account_id=account_id,
                            occurred_at=when,
                            business_date=business_date(when, zone),
                            currency=currencies[business_id],
                            total_minor=(minor := random.randint(1_000, 200_000)),
                            lines=(
                                BillLine(id=f"l-{member_id}-{n}", kind="item", net_minor=minor),
                            ),
                            tenders=(),
                        )
                        for member_id, account_id, business_id in seen
                        if member_id is not None and account_id is not None
                    ],
                    now=at,
                )
            await promote(db, member_ids=ids, now=at, time_zone=zone)
            for campaign in campaigns:
                await grant_to_many(db, campaign=campaign, member_ids=ids, actor="bench", now=at)
        found += ids
    return found


async def _campaign(db: AsyncConnection, benefit: str, *, at: datetime, zone: str) -> Campaign:
    year = year_of(at, zone)
    return await open_campaign(
        db,
        code=benefit,
        benefit_code=benefit,
        quantity=4,
        starts_on=year.starts_on,
        ends_on=year.ends_on,
        reason="for the benchmark",
        actor="bench",
        now=at,
    )
