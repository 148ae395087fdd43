"""Apply policies: the units and policies of a group's file become rows, none of them edited."""

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, NotFound
from hub.programme.policies import QUALIFYING
from hub.programme.policy_config import (
    AcceptanceRuleConfig,
    ActivationPolicyConfig,
    ClawbackPolicyConfig,
    ExpiryPolicyConfig,
    PoliciesConfig,
    TillPolicyConfig,
    UnitConfig,
)
from hub.programme.policy_queries import policies
from hub.programme.queries import business_by_code
from hub.programme.versions import add_version

_DATED = {"effective_from"}


async def apply_policies(
    db: AsyncConnection, *, config: PoliciesConfig, business_ids: Mapping[str, int]
) -> None:
    """Make units and policies what `config` says. Applying the same again changes nothing.

    Raises Conflict, naming the field, when a version in force would have to be edited; NotFound for
    a unit or a business that is not configured; Malformed for a policy of qualifying points, which
    do not expire, and of a programme company, which has no shop.
    """
    for unit in config.units:
        await _apply_unit(db, unit)
    await _apply_expiry(db, config.expiry_policies)
    await _apply_to_businesses(db, "activation_policy", config.activation_policies, business_ids)
    await _apply_to_businesses(db, "clawback_policy", config.clawback_policies, business_ids)
    await _apply_to_businesses(db, "acceptance_rule", config.acceptance_rules, business_ids)
    await _apply_to_businesses(db, "till_policy", config.till_policies, business_ids)
    for limits in config.points_policies:
        key = limits.model_dump(include=_DATED)
        await add_version(db, "points_policy", key, limits.model_dump(exclude=_DATED))


async def _apply_unit(db: AsyncConnection, unit: UnitConfig) -> None:
    """Name a unit; a new one can be spent and gets the next number."""
    await db.execute(
        text("""
          INSERT INTO point_unit (unit_id, code, name, kind)
          SELECT max(unit_id) + 1, :code, :name, 'spendable' FROM point_unit
          ON CONFLICT (code) DO UPDATE SET name = excluded.name"""),
        unit.model_dump(),
    )


async def _apply_expiry(db: AsyncConnection, versions: Sequence[ExpiryPolicyConfig]) -> None:
    known = await policies(db)
    for version in versions:
        unit_id = None if version.unit is None else known.unit(version.unit).unit_id
        if unit_id == QUALIFYING:
            raise Malformed(
                "qualifying points count for their year and do not expire: name a unit that can "
                "be spent",
                field="unit",
            )
        key = {"unit_id": unit_id, "effective_from": version.effective_from}
        facts = version.model_dump(exclude={"unit", *_DATED})
        facts["exempt_tiers"] = sorted(set(version.exempt_tiers))
        await add_version(db, "expiry_policy", key, facts)


async def _apply_to_businesses(
    db: AsyncConnection,
    table: str,
    versions: Sequence[
        ActivationPolicyConfig | ClawbackPolicyConfig | AcceptanceRuleConfig | TillPolicyConfig
    ],
    business_ids: Mapping[str, int],
) -> None:
    for version in versions:
        if version.business not in business_ids:
            raise NotFound(
                f"there is no business {version.business!r}: name one of {', '.join(business_ids)}",
                field="business",
            )
        (await business_by_code(db, version.business)).with_a_shop()
        key = {
            "business_id": business_ids[version.business],
            "effective_from": version.effective_from,
        }
        await add_version(db, table, key, version.model_dump(exclude={"business", *_DATED}))
