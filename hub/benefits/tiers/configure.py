"""Configure tiers: the ladders of a group's file become dated terms, none of them edited."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.dated import add_terms, identity
from hub.benefits.tiers.ladder import KINDS
from hub.errors import Malformed, NotFound
from hub.programme.queries import business_by_code
from hub.programme.versions import CODE, CURRENCY

GROUP = "group"
"""The ladder that is always there: in calendar years, until a group's file says otherwise."""
Most = Field(default=None, ge=0, le=10**15)


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LadderConfig(_Config):
    """A version of a ladder: whose activity counts, in which window, and what comes after it.

    `business` None: activity everywhere counts. `months` is for a rolling window. A tier is held
    to the end of the next window (a rolling one: for its months) and `grace_days` more; what is
    done in the grace counts for keeping it.
    """

    code: str = Field(pattern=CODE)
    effective_from: AwareDatetime
    name: str
    name_zh: str
    business: str | None = None
    window: Literal["calendar_year", "rolling", "anniversary"] = "calendar_year"
    months: int = Field(default=12, ge=1, le=120)
    grace_days: int = Field(default=0, ge=0, le=366)
    step_down: Literal["one_step", "to_qualified"] = "one_step"
    currency: str | None = Field(default=None, pattern=CURRENCY)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window != "rolling" and self.months != 12:
            raise ValueError("months are for a rolling window: a year has 12")
        return self


class Asks(_Config):
    """What is asked of a window; unsaid or nothing: not asked."""

    points: int | None = Most
    spend_minor: int | None = Most
    visits: int | None = Most
    nights: int | None = Most
    referrals: int | None = Most

    def packed(self) -> list[int | None]:
        """Return the asks in the order of KINDS."""
        return [getattr(self, kind) or None for kind in KINDS]


class TierConfig(_Config):
    """A version of a tier. `threshold` is in qualifying points of the ladder's window.

    `reach` is what else reaches it; of all that is asked `need` says whether any or all must be
    there. `keep` is what keeps it for another period (unsaid: what reaches it), `life` what, since
    ever, gives it for life.
    """

    code: str = Field(pattern=CODE)
    effective_from: AwareDatetime
    name: str
    name_zh: str
    ladder: str = GROUP
    rank: int = Field(ge=0, le=1000)
    threshold: int | None = Most
    need: Literal["any", "all"] = "all"
    reach: Asks = Asks()
    keep: Asks | None = None
    life: Asks | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.threshold is not None and self.reach.points is not None:
            raise ValueError("threshold and reach.points are the same: say one of them")
        return self

    def reached_by(self) -> list[int | None]:
        """Return what reaches it, in the order of KINDS."""
        asks = self.reach.packed()
        return [self.threshold or asks[0], *asks[1:]]


async def configure_tiers(
    db: AsyncConnection, *, tiers: Sequence[TierConfig], ladders: Sequence[LadderConfig] = ()
) -> None:
    """Make the ladders what the rows say. The same again changes nothing.

    Raises Conflict, naming the field, when terms that exist would have to be edited (give the new
    ones their own `effective_from`), Malformed when a higher rank asks for no more than a lower
    one or for spend on a ladder without a currency, NotFound for a ladder or business that is not
    configured and for a tier that an expiry policy exempts and nobody configured.
    """
    _check_order(tiers)
    for ladder in ladders:
        await _ladder(db, ladder)
    for tier in tiers:
        ladder_id = await _ladder_id(db, tier)
        tier_id = await identity(db, "tier", tier.code, {"rank": tier.rank, "ladder_id": ladder_id})
        terms = {
            **tier.model_dump(include={"effective_from", "name", "name_zh", "need"}),
            "reach": tier.reached_by(),
            "keep": tier.keep.packed() if tier.keep else None,
            "life": tier.life.packed() if tier.life else None,
        }
        await add_terms(db, "tier", tier_id, terms)
    await _check_exemptions(db)


async def _ladder(db: AsyncConnection, ladder: LadderConfig) -> None:
    business_id = None
    if ladder.business is not None:
        business_id = (await business_by_code(db, ladder.business)).business_id
    if ladder.code == GROUP and business_id is not None:
        raise Malformed("the group's ladder is no business's", field="business")
    ladder_id = await identity(db, "ladder", ladder.code, {"business_id": business_id})
    await add_terms(db, "ladder", ladder_id, ladder.model_dump(exclude={"code", "business"}))


async def _ladder_id(db: AsyncConnection, tier: TierConfig) -> int:
    found = (
        await db.execute(
            text("""
              SELECT l.ladder_id, (SELECT t.currency FROM ladder_terms t
                WHERE t.ladder_id = l.ladder_id AND t.effective_from <= :since
                ORDER BY t.effective_from DESC LIMIT 1) AS currency
              FROM ladder l WHERE code = :code"""),
            {"code": tier.ladder, "since": tier.effective_from},
        )
    ).first()
    if found is None:
        raise NotFound(f"there is no ladder {tier.ladder!r}", field="ladder")
    asked = [tier.reached_by(), *(one.packed() for one in (tier.keep, tier.life) if one)]
    if found.currency is None and any(one[KINDS.index("spend_minor")] for one in asked):
        raise Malformed(
            f"tier {tier.code} asks for spend, and the ladder {tier.ladder} says no currency by "
            f"{tier.effective_from}: give it one",
            field="currency",
        )
    ladder_id: int = found.ladder_id
    return ladder_id


def _check_order(tiers: Sequence[TierConfig]) -> None:
    latest: dict[str, TierConfig] = {}
    for tier in sorted(tiers, key=lambda tier: tier.effective_from):
        latest[tier.code] = tier
    rungs = sorted(latest.values(), key=lambda tier: (tier.ladder, tier.rank))
    for lower, higher in pairwise(rungs):
        if lower.ladder == higher.ladder:
            _check_pair(lower, higher)


def _check_pair(lower: TierConfig, higher: TierConfig) -> None:
    """Whatever kind both ask for, the higher one asks for no less; and it asks for something else
    or more."""  # fmt: skip
    both = list(zip(KINDS, lower.reached_by(), higher.reached_by(), strict=True))
    if higher.reached_by() == lower.reached_by() or not any(ask for _, _, ask in both):
        kind, below, above = next((one for one in both if one[2]), both[0])
    else:
        less = [one for one in both if one[1] and one[2] and one[1] > one[2]]
        if not less:
            return
        kind, below, above = less[0]
    raise Malformed(
        f"tier {higher.code} stands above {lower.code} and must ask for more than its "
        f"{below or 0} {kind}, not {above or 0}",
        field="threshold" if kind == "points" else f"reach.{kind}",
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
