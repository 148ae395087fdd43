"""Rates and multipliers of an earning rule, and which lines of which bills they fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hub.programme.bill import Bill, BillLine
from hub.programme.conditions import Condition, Fact, condition

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A bill as a scope looks at it: where, when by the business's clock, and who bought."""

    local: datetime
    outlet: str | None
    tier: str | None
    facts: Mapping[str, Fact]

    @classmethod
    def of(cls, bill: Bill, *, time_zone: str, tier: str | None) -> "Moment":
        """Return a bill's moment, with what conditions may ask of the whole bill."""
        local = bill.occurred_at.astimezone(ZoneInfo(time_zone))
        facts: dict[str, Fact] = {
            "outlet": bill.outlet or "",
            "tier": tier or "",
            "currency": bill.currency,
            "total_minor": bill.total_minor,
            "tender_kinds": sorted({str(tender.kind) for tender in bill.tenders}),
            "weekday": local.isoweekday(),
            "date": f"{local:%Y-%m-%d}",
            "time": f"{local:%H:%M}",
        }
        return cls(local=local, outlet=bill.outlet, tier=tier, facts=facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a rate or multiplier is for. Each dimension that is named must fit; none fits all.

    The window is local time from `from_time` to before `until_time`; one that crosses midnight
    belongs, after midnight too, to the weekday on which it began. `weekdays` counts Monday as 0.
    """

    categories: frozenset[str] = frozenset()
    outlets: frozenset[str] = frozenset()
    weekdays: frozenset[int] = frozenset()
    from_time: time | None = None
    until_time: time | None = None
    tiers: frozenset[str] = frozenset()
    line_kinds: frozenset[str] = frozenset()
    when: Condition | None = None

    def fits(self, line: BillLine, moment: Moment) -> bool:
        """Say whether a line of a bill is what this is for."""
        named = (
            (self.categories, line.category),
            (self.line_kinds, line.kind),
            (self.outlets, moment.outlet),
            (self.tiers, moment.tier),
        )
        if any(wanted and found not in wanted for wanted, found in named):
            return False
        if not self._is_time(moment.local):
            return False
        return self.when is None or self.when.holds(
            {
                **moment.facts,
                "line_kind": str(line.kind),
                "category": line.category or "",
                "net_minor": line.net_minor,
            }
        )

    def _is_time(self, local: datetime) -> bool:
        day = local
        if self.from_time is not None and self.until_time is not None:
            at = local.time()
            after, before = at >= self.from_time, at < self.until_time
            if self.from_time < self.until_time:
                if not (after and before):
                    return False
            elif before:
                day = local - timedelta(days=1)
            elif not after:
                return False
        return not self.weekdays or day.weekday() in self.weekdays

    @property
    def asks_tier(self) -> bool:
        """Whether it matters which tier the member held."""
        return bool(self.tiers) or (self.when is not None and "tier" in self.when.names)

    def __str__(self) -> str:
        parts = [
            f"{name} {', '.join(sorted(values))}"
            for name, values in (
                ("category", self.categories),
                ("kind", self.line_kinds),
                ("outlet", self.outlets),
                ("tier", self.tiers),
            )
            if values
        ]
        if self.weekdays:
            parts.append("on " + ", ".join(WEEKDAYS[day] for day in sorted(self.weekdays)))
        if self.from_time is not None and self.until_time is not None:
            parts.append(f"from {self.from_time:%H:%M} to {self.until_time:%H:%M}")
        if self.when is not None:
            parts.append(f"when {self.when.source}")
        return "; ".join(parts) or "everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Points per major unit for the lines that fit, in the place of the rule's own rates."""

    scope: Scope
    points_per_unit: Decimal
    qualifying_per_unit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplier:
    """How many times the lines that fit count in spendable points; never in qualifying ones."""

    scope: Scope
    factor: Decimal
    reason: str


def read_rate(packed: Mapping[str, Any], *, qualifying_per_unit: Decimal) -> Rate:
    """Read a rate as a rule keeps it; without its own qualifying rate it has the rule's."""
    own = packed.get("qualifying_per_unit")
    return Rate(
        scope=_read_scope(packed),
        points_per_unit=Decimal(packed["points_per_unit"]),
        qualifying_per_unit=qualifying_per_unit if own is None else Decimal(own),
    )


def read_multiplier(packed: Mapping[str, Any]) -> Multiplier:
    """Read a multiplier as a rule keeps it."""
    return Multiplier(
        scope=_read_scope(packed), factor=Decimal(packed["factor"]), reason=packed["reason"]
    )


def _read_scope(packed: Mapping[str, Any]) -> Scope:
    when = packed.get("when")
    return Scope(
        categories=frozenset(packed.get("categories", ())),
        outlets=frozenset(packed.get("outlets", ())),
        weekdays=frozenset(WEEKDAYS.index(day) for day in packed.get("weekdays", ())),
        from_time=_read_time(packed.get("from_time")),
        until_time=_read_time(packed.get("until_time")),
        tiers=frozenset(packed.get("tiers", ())),
        line_kinds=frozenset(packed.get("line_kinds", ())),
        when=None if when is None else condition(when),
    )


def _read_time(packed: str | None) -> time | None:
    return None if packed is None else time.fromisoformat(packed)
