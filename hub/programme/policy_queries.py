"""Reads of the policies of points: every version in one round trip, to pick from by date."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound, Rejected
from hub.programme.acceptance import AcceptanceRule
from hub.programme.policies import (
    ActivationPolicy,
    ClawbackPolicy,
    ExpiryPolicy,
    PointsPolicy,
    PointUnit,
    TillPolicy,
)

T = TypeVar(
    "T", ExpiryPolicy, ActivationPolicy, ClawbackPolicy, AcceptanceRule, TillPolicy, PointsPolicy
)
# Newest first, each with the instant from which it holds.
Versions = Sequence[tuple[datetime, T]]
# By unit or business; under None stands what holds for all that have none of their own.
Kept = Mapping[int | None, Versions[T]]

_AT_ONCE = ActivationPolicy()
_WITHIN_BALANCE = ClawbackPolicy()
_DEFAULTS = PointsPolicy()
_UNGUARDED = TillPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """All versions of all policies. Read once for a batch: nothing in it changes, it only grows."""

    units: Mapping[str, PointUnit]
    expiries: Kept[ExpiryPolicy]
    activations: Kept[ActivationPolicy]
    clawbacks: Kept[ClawbackPolicy]
    acceptances: Kept[AcceptanceRule]
    limits: Versions[PointsPolicy]
    tills: Kept[TillPolicy]

    def unit(self, code: str) -> PointUnit:
        """Return the unit called `code`; raises NotFound."""
        found = self.units.get(code)
        if found is None:
            known = ", ".join(self.units)
            raise NotFound(f"there is no unit {code!r}: there are {known}", field="unit", unit=code)
        return found

    def spendable(self) -> list[int]:
        """Return the ids of the units that are spent, ascending."""
        return [unit.unit_id for unit in self.units.values() if unit.kind == "spendable"]

    def unit_by_id(self, unit_id: int) -> PointUnit:
        """Return the unit numbered `unit_id`; raises NotFound."""
        for unit in self.units.values():
            if unit.unit_id == unit_id:
                return unit
        raise NotFound(f"there is no unit {unit_id}", field="unit", unit=unit_id)

    def expiry(self, unit_id: int, at: datetime) -> ExpiryPolicy:
        """Return the expiry policy of a unit in force at `at`: its own, else that of all units.

        Raises Rejected when there was none.
        """
        found = self._expiry(unit_id, at)
        if found is None:
            raise Rejected(
                f"there was no expiry policy on {at:%Y-%m-%d}: apply one that is effective from "
                "then",
                field="occurred_at",
            )
        return found

    def exempt_tiers(self, unit_id: int, at: datetime) -> Sequence[str]:
        """Return the codes of the tiers whose members lose no points of a unit, at `at`."""
        found = self._expiry(unit_id, at)
        return () if found is None else found.exempt_tiers

    def _expiry(self, unit_id: int, at: datetime) -> ExpiryPolicy | None:
        own = _in_force(self.expiries.get(unit_id, ()), at)
        return own or _in_force(self.expiries.get(None, ()), at)

    def activation(self, business_id: int, at: datetime) -> ActivationPolicy:
        """Return a business's activation policy in force at `at`; at once where it has none."""
        return _in_force(self.activations.get(business_id, ()), at) or _AT_ONCE

    def clawback(self, business_id: int, at: datetime) -> ClawbackPolicy:
        """Return an issuer's clawback policy at `at`; within the balance where it has none."""
        return _in_force(self.clawbacks.get(business_id, ()), at) or _WITHIN_BALANCE

    def acceptance(self, business_id: int, at: datetime) -> AcceptanceRule | None:
        """Return an acceptor's rule in force at `at`; None where it takes whatever is offered."""
        return _in_force(self.acceptances.get(business_id, ()), at)

    def till(self, business_id: int, at: datetime) -> TillPolicy:
        """Return what a business allows to be taken off a cart at `at`: all, unless it says."""
        return _in_force(self.tills.get(business_id, ()), at) or _UNGUARDED

    def points(self, at: datetime) -> PointsPolicy:
        """Return the group's policy of transfers, pools and adjustments in force at `at`."""
        return _in_force(self.limits, at) or _DEFAULTS


def _in_force(versions: Versions[T], at: datetime) -> T | None:
    return next((policy for effective_from, policy in versions if effective_from <= at), None)


def _read(kind: type, source: str, key: str) -> str:
    """Return the SQL of all versions of a kind, as records: key, date, then the kind's fields."""
    names = ", ".join(field.name for field in fields(kind))
    return f"""array(SELECT row({key}, effective_from, {names}) FROM {source}
      ORDER BY effective_from DESC)"""  # noqa: S608


# Records in arrays are decoded by the driver as they are: one round trip, and numbers stay exact.
_ALL = text(f"""
SELECT
  array(SELECT row(unit_id, code, name, kind) FROM point_unit ORDER BY unit_id) AS units,
  {_read(ExpiryPolicy, "expiry_policy", "unit_id")} AS expiries,
  {_read(ActivationPolicy, "activation_policy", "business_id")} AS activations,
  {_read(ClawbackPolicy, "clawback_policy", "business_id")} AS clawbacks,
  {_read(AcceptanceRule, "acceptance_rule JOIN business USING (business_id)", "business_id")}
    AS acceptances,
  {_read(PointsPolicy, "points_policy", "CAST(NULL AS smallint)")} AS limits,
  {_read(TillPolicy, "till_policy", "business_id")} AS tills
""")  # noqa: S608


async def policies(db: AsyncConnection) -> Policies:
    """Read the units and every version of every policy, in one statement."""
    found = (await db.execute(_ALL)).one()
    units = [PointUnit(unit_id=i, code=c, name=n, kind=k) for i, c, n, k in found.units]
    return Policies(
        units={unit.code: unit for unit in units},
        expiries=_by_key(found.expiries, ExpiryPolicy),
        activations=_by_key(found.activations, ActivationPolicy),
        clawbacks=_by_key(found.clawbacks, ClawbackPolicy),
        acceptances=_by_key(found.acceptances, AcceptanceRule),
        limits=_by_key(found.limits, PointsPolicy).get(None, ()),
        tills=_by_key(found.tills, TillPolicy),
    )


def _by_key(records: Iterable[tuple[Any, ...]], kind: type[T]) -> Kept[T]:
    versions: dict[int | None, list[tuple[datetime, T]]] = {}
    names = [field.name for field in fields(kind)]
    for key, effective_from, *facts in records:
        versions.setdefault(key, []).append(
            (effective_from, kind(**dict(zip(names, facts, strict=True))))
        )
    return versions
