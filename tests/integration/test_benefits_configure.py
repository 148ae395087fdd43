"""Terms are dated: the same again changes nothing, a change needs its own date."""

from datetime import timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.configure import configure
from hub.benefits.tiers.configure import TierConfig
from hub.errors import Conflict, Malformed, NotFound
from tests.support.benefits import LADDER, SPRING, late_checkout, make_ladder, tier
from tests.support.settlement import make_group


async def _counts(db: AsyncConnection) -> tuple[int, ...]:
    tables = ("tier", "tier_terms", "benefit", "benefit_terms")
    return tuple([await db.scalar(text(f"SELECT count(*) FROM {table}")) for table in tables])


async def test_the_same_configuration_again_changes_nothing(db: AsyncConnection) -> None:
    await make_ladder(db)
    before = await _counts(db)
    await configure(db, tiers=LADDER, benefits=[late_checkout()])
    assert await _counts(db) == before == (3, 3, 1, 1)


async def test_a_change_supersedes_from_its_own_date(db: AsyncConnection) -> None:
    await make_ladder(db)
    later = SPRING + timedelta(days=90)
    await configure(
        db,
        tiers=[*LADDER, tier("silver", "银", 30, 2500, later)],
        benefits=[late_checkout(), late_checkout(quota=3, since=later)],
    )
    assert await _counts(db) == (3, 4, 1, 2)


@pytest.mark.parametrize(
    ("edited", "field"),
    [
        ({"threshold": 2100}, "threshold"),
        ({"name_zh": "白银"}, "name_zh"),
        ({"rank": 31}, "rank"),
    ],
)
async def test_a_tier_in_force_is_not_edited(
    db: AsyncConnection, edited: dict[str, object], field: str
) -> None:
    await make_ladder(db)
    silver = LADDER[-1].model_copy(update=edited)
    with pytest.raises(Conflict) as refused:
        await configure(db, tiers=[silver], benefits=[])
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("edited", "field"),
    [
        ({"quota": 3}, "quota"),
        ({"price_minor": 1}, "price_minor"),
        ({"funder": "hotel"}, "funder"),
        ({"offered_at": ["hotel"]}, "offered_at"),
        ({"tier": "silver"}, "tier"),
        ({"kind": "upgrade"}, "kind"),
    ],
)
async def test_a_benefit_in_force_is_not_edited(
    db: AsyncConnection, edited: dict[str, object], field: str
) -> None:
    await make_ladder(db)
    with pytest.raises(Conflict) as refused:
        await configure(db, tiers=[], benefits=[late_checkout().model_copy(update=edited)])
    assert refused.value.field == field


async def test_a_higher_rank_must_ask_for_more(db: AsyncConnection) -> None:
    await make_group(db, [])
    with pytest.raises(Malformed, match="must ask for more than its 1000"):
        await configure(
            db, tiers=[tier("bronze", "铜", 20, 1000), tier("silver", "银", 30, 1000)], benefits=[]
        )


@pytest.mark.parametrize(
    "unknown", [{"tier": "gold"}, {"funder": "bank"}, {"offered_at": ["bank"]}]
)
async def test_a_benefit_names_tiers_and_businesses_that_exist(
    db: AsyncConnection, unknown: dict[str, object]
) -> None:
    await make_ladder(db, benefits=[])
    with pytest.raises(NotFound):
        await configure(db, tiers=[], benefits=[late_checkout().model_copy(update=unknown)])


def test_a_date_without_a_zone_is_refused() -> None:
    row = {**LADDER[0].model_dump(), "effective_from": "2026-01-01T00:00:00"}
    with pytest.raises(ValidationError, match="effective_from"):
        TierConfig.model_validate(row)
