"""Configure: the tiers and benefits of a group's file become dated terms, none of them edited."""

from collections.abc import Sequence
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.dated import add_terms, identity
from hub.benefits.tiers.configure import LadderConfig, TierConfig, configure_tiers
from hub.errors import NotFound
from hub.programme.queries import business_by_code
from hub.programme.versions import CODE, CURRENCY


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BenefitConfig(_Config):
    """A version of a benefit: `quota` uses a year from the tier called `tier` upwards.

    Each use costs `funder` the `price_minor` (minor units), whichever of `offered_at` serves it.
    """

    code: str = Field(pattern=CODE)
    effective_from: AwareDatetime
    name: str
    name_zh: str
    kind: Literal["discount", "points_multiplier", "upgrade", "late_checkout", "delivery",
                  "priority_service", "birthday_gift", "event", "exclusive_price"]  # fmt: skip
    tier: str
    quota: int = Field(ge=0, le=1_000_000)
    period: Literal["year"] = "year"
    funder: str
    price_minor: int = Field(ge=0)
    currency: str = Field(pattern=CURRENCY)
    offered_at: list[str] = Field(min_length=1)


async def configure(
    db: AsyncConnection,
    *,
    tiers: Sequence[TierConfig],
    benefits: Sequence[BenefitConfig],
    ladders: Sequence[LadderConfig] = (),
) -> None:
    """Make the ladders and the benefits what the rows say. The same again changes nothing.

    Raises Conflict, naming the field, when terms that exist would have to be edited (give the new
    ones their own `effective_from`), Malformed when a higher rank asks for no more than a lower
    one, NotFound for a tier or business that is not configured, be it a benefit that names it or
    an expiry policy that exempts it.
    """
    await configure_tiers(db, tiers=tiers, ladders=ladders)
    for benefit in benefits:
        benefit_id = await identity(db, "benefit", benefit.code, {"kind": benefit.kind})
        terms = benefit.model_dump(exclude={"code", "kind", "tier", "funder", "offered_at"})
        terms["tier_id"] = await _tier_id(db, benefit.tier)
        terms["funder_id"] = (await business_by_code(db, benefit.funder)).business_id
        terms["offered_at"] = sorted(
            [
                (await business_by_code(db, code)).with_a_shop(field="offered_at").business_id
                for code in benefit.offered_at
            ]
        )
        await add_terms(db, "benefit", benefit_id, terms)


async def _tier_id(db: AsyncConnection, code: str) -> int:
    found: int | None = await db.scalar(
        text("SELECT tier_id FROM tier WHERE code = :code"), {"code": code}
    )
    if found is None:
        raise NotFound(f"there is no tier {code!r}", tier=code)
    return found
