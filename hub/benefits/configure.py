"""Configure: the tiers and benefits of a group's file become dated terms, none of them edited."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.dated import add_terms, identity
from hub.benefits.definitions import BenefitConfig
from hub.benefits.tiers.configure import LadderConfig, TierConfig, configure_tiers
from hub.errors import NotFound
from hub.programme.queries import business_by_code


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
        await add_terms(db, "benefit", benefit_id, await _terms(db, benefit))


async def _terms(db: AsyncConnection, benefit: BenefitConfig) -> dict[str, object]:
    """Return the terms as they are kept: by the numbers of tiers and businesses."""
    terms = benefit.model_dump(exclude={"code", "kind", "tier", "funder", "offered_at"})
    terms["tier_id"] = None if benefit.tier is None else await _tier_id(db, benefit.tier)
    terms["funder_id"] = (await business_by_code(db, benefit.funder)).business_id
    numbers = {
        code: (await business_by_code(db, code)).with_a_shop(field="offered_at").business_id
        for code in benefit.offered_at
    }
    terms["offered_at"] = sorted(numbers.values())
    terms["parameters"] = benefit.settled_parameters()
    terms["prices"] = {str(numbers[code]): price for code, price in benefit.prices.items()}
    terms["outlets"] = {str(numbers[code]): sorted(at) for code, at in benefit.outlets.items()}
    return terms


async def _tier_id(db: AsyncConnection, code: str) -> int:
    found: int | None = await db.scalar(
        text("SELECT tier_id FROM tier WHERE code = :code"), {"code": code}
    )
    if found is None:
        raise NotFound(f"there is no tier {code!r}", tier=code)
    return found
