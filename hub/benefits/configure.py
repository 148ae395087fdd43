"""Configure: the tiers and benefits of a group's file become dated terms, none of them edited."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.definitions import BenefitConfig
from hub.errors import Conflict, Malformed, NotFound
from hub.programme.queries import business_by_code
from hub.programme.versions import CODE


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TierConfig(_Config):
    """A version of a tier. `threshold` is in qualifying points of a calendar year."""

    code: str = Field(pattern=CODE)
    effective_from: AwareDatetime
    name: str
    name_zh: str
    rank: int = Field(ge=0, le=1000)
    threshold: int = Field(ge=0)


async def configure(
    db: AsyncConnection, *, tiers: Sequence[TierConfig], benefits: Sequence[BenefitConfig]
) -> None:
    """Make the ladder and the benefits what the rows say. The same again changes nothing.

    Raises Conflict, naming the field, when terms that exist would have to be edited (give the new
    ones their own `effective_from`), Malformed when a higher rank asks for no more than a lower
    one, NotFound for a tier or business that is not configured, be it a benefit that names it or
    an expiry policy that exempts it.
    """
    _check_ladder(tiers)
    for tier in tiers:
        tier_id = await _identity(db, "tier", tier.code, {"rank": tier.rank})
        terms = tier.model_dump(include={"effective_from", "name", "name_zh", "threshold"})
        await _terms(db, "tier", tier_id, terms)
    await _check_exemptions(db)
    for benefit in benefits:
        benefit_id = await _identity(db, "benefit", benefit.code, {"kind": benefit.kind})
        await _terms(db, "benefit", benefit_id, await _benefit_terms(db, benefit))


async def _benefit_terms(db: AsyncConnection, benefit: BenefitConfig) -> dict[str, object]:
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


async def _tier_id(db: AsyncConnection, code: str) -> int:
    found: int | None = await db.scalar(
        text("SELECT tier_id FROM tier WHERE code = :code"), {"code": code}
    )
    if found is None:
        raise NotFound(f"there is no tier {code!r}", tier=code)
    return found


async def _identity(
    db: AsyncConnection, kind: Literal["tier", "benefit"], code: str, facts: dict[str, object]
) -> int:
    """Insert what never changes of a tier or benefit; returns its id."""
    ((name, value),) = facts.items()
    await db.execute(
        text(f"""
          INSERT INTO {kind} (code, {name}) VALUES (:code, :value)
          ON CONFLICT (code) DO NOTHING"""),  # noqa: S608
        {"code": code, "value": value},
    )
    stored = (
        await db.execute(
            text(f"SELECT {kind}_id AS id, {name} AS value FROM {kind} WHERE code = :code"),  # noqa: S608
            {"code": code},
        )
    ).one()
    if stored.value != value:
        raise Conflict(
            f"{kind} {code} has the {name} {stored.value} and keeps it: "
            "give the new one its own code",
            field=name,
        )
    found: int = stored.id
    return found


async def _terms(
    db: AsyncConnection, kind: Literal["tier", "benefit"], of: int, terms: dict[str, object]
) -> None:
    """Insert dated terms; when there are terms of that date, they must say the same."""
    names = ", ".join(terms)
    marks = ", ".join(
        f"CAST(:{name} AS jsonb)" if isinstance(value, dict) else f":{name}"
        for name, value in terms.items()
    )
    facts = {
        name: json.dumps(value) if isinstance(value, dict) else value
        for name, value in terms.items()
    }
    await db.execute(
        text(f"""
          INSERT INTO {kind}_terms ({kind}_id, {names}) VALUES (:of, {marks})
          ON CONFLICT ({kind}_id, effective_from) DO NOTHING"""),  # noqa: S608
        {"of": of, **facts},
    )
    stored = (
        await db.execute(
            text(f"""
              SELECT {names} FROM {kind}_terms
              WHERE {kind}_id = :of AND effective_from = :effective_from"""),  # noqa: S608
            {"of": of, "effective_from": terms["effective_from"]},
        )
    ).one()
    for name, value in terms.items():
        if getattr(stored, name) != value:
            raise Conflict(
                f"the terms of {terms['effective_from']} are in force and cannot be edited: give "
                "the new ones their own effective_from",
                field=name.removesuffix("_id"),
            )
