"""Configure tiers: the ladder of a group's file becomes dated terms, none of them edited."""

from collections.abc import Sequence
from itertools import pairwise

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.dated import add_terms, identity
from hub.errors import Malformed, NotFound
from hub.programme.versions import CODE


class TierConfig(BaseModel):
    """A version of a tier. `threshold` is in qualifying points of a calendar year."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=CODE)
    effective_from: AwareDatetime
    name: str
    name_zh: str
    rank: int = Field(ge=0, le=1000)
    threshold: int = Field(ge=0)


async def configure_tiers(db: AsyncConnection, *, tiers: Sequence[TierConfig]) -> None:
    """Make the ladder what the rows say. The same again changes nothing.

    Raises Conflict, naming the field, when terms that exist would have to be edited (give the new
    ones their own `effective_from`), Malformed when a higher rank asks for no more than a lower
    one, NotFound for a tier that an expiry policy exempts and nobody configured.
    """
    _check_ladder(tiers)
    for tier in tiers:
        tier_id = await identity(db, "tier", tier.code, {"rank": tier.rank})
        terms = tier.model_dump(include={"effective_from", "name", "name_zh", "threshold"})
        await add_terms(db, "tier", tier_id, terms)
    await _check_exemptions(db)


def _check_ladder(tiers: Sequence[TierConfig]) -> None:
    latest: dict[str, TierConfig] = {}
    for tier in sorted(tiers, key=lambda tier: tier.effective_from):
        latest[tier.code] = tier
    rungs = sorted(latest.values(), key=lambda tier: tier.rank)
    for lower, higher in pairwise(rungs):
        if lower.threshold >= higher.threshold:
            raise Malformed(
                f"tier {higher.code} stands above {lower.code} and must ask for more than its "
                f"{lower.threshold} points, not {higher.threshold}",
                field="threshold",
            )


async def _check_exemptions(db: AsyncConnection) -> None:
    """Policies are applied before the ladder: a misspelt tier would exempt nobody, unnoticed."""
    unknown: str | None = await db.scalar(
        text("""
          SELECT code FROM expiry_policy, unnest(exempt_tiers) AS code
          WHERE code NOT IN (SELECT code FROM tier) ORDER BY code LIMIT 1""")
    )
    if unknown is not None:
        raise NotFound(f"there is no tier {unknown!r} to exempt from expiry", field="exempt_tiers")
