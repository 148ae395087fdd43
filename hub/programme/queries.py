"""Reads of the programme: businesses, and the dated rows in force at a moment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, NotFound, Rejected
from hub.programme.exchange import ExchangeRate, Table
from hub.programme.policies import SPENDABLE, ExpiryPolicy
from hub.programme.policy_queries import Policies, policies
from hub.programme.rates import read_multiplier, read_rate
from hub.programme.rule import EarningRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """The group itself. Its zone decides when a day, a month and a point end."""

    name: str
    time_zone: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Business:
    """A business of the group, as it is configured."""

    business_id: int
    code: str
    name: str
    kind: str
    legal_entity_id: int
    currency: str
    country: str
    time_zone: str
    day_starts_at_hour: int
    stopped_issuers: tuple[int, ...] = ()
    """Businesses whose points it takes no more of until some are paid for (credit limits)."""

    def with_a_shop(self, *, field: str = "business") -> "Business":
        """Return it; raises Malformed for the programme company, which has none."""
        if self.kind == "programme":
            raise Malformed(
                f"{self.code} is a programme company: it sells points to the group's shops and has "
                "no till, no guests and no sales of its own: name a shop",
                field=field,
            )
        return self


async def programme(db: AsyncConnection) -> Programme:
    """Return the group's own row; raises NotFound when no group was configured yet."""
    row = (await db.execute(text("SELECT name, time_zone, currency FROM programme"))).first()
    if row is None:
        raise no_group()
    return Programme(**row._asdict())


def no_group() -> NotFound:
    """Return what to raise where there is no group yet."""
    return NotFound("no group is configured: run `hub programme apply FILE`")


BUSINESS = """
SELECT business_id, code, name, kind, legal_entity_id, currency, country, time_zone,
  day_starts_at_hour, ARRAY(SELECT issuer_id FROM credit_standing s
    WHERE s.acceptor_id = business.business_id AND s.state = 'stopped' ORDER BY 1)
  AS stopped_issuers FROM business"""


async def businesses(db: AsyncConnection) -> list[Business]:
    """Return all businesses, by id."""
    rows = await db.execute(text(f"{BUSINESS} ORDER BY business_id"))
    return [_business(row) for row in rows]


async def business_by_code(db: AsyncConnection, code: str) -> Business:
    """Return the business called `code`; raises NotFound."""
    row = (await db.execute(text(f"{BUSINESS} WHERE code = :code"), {"code": code})).first()
    if row is None:
        raise NotFound(f"there is no business {code!r}", business=code)
    return _business(row)


def _business(row: Row[Any]) -> Business:
    return Business(**{**row._asdict(), "stopped_issuers": tuple(row.stopped_issuers)})


@dataclass(frozen=True, slots=True)
class Terms:
    """All earning rules, newest first, and all policies, to pick from by date."""

    rules: dict[int, list[EarningRule]]
    policies: Policies

    def rule(self, business_id: int, at: datetime) -> EarningRule:
        """Return the rule version in force at `at`; raises Rejected when there was none."""
        for rule in self.rules.get(business_id, ()):
            if rule.effective_from <= at:
                return rule
        raise Rejected(
            f"business {business_id} had no earning rule on {at:%Y-%m-%d}: apply one that is "
            "effective from then, and replay",
            business_id=business_id,
            field="occurred_at",
        )

    def policy(self, at: datetime) -> ExpiryPolicy:
        """Return the expiry policy of spendable points in force at `at`; raises Rejected."""
        return self.policies.expiry(SPENDABLE, at)


async def terms(db: AsyncConnection) -> Terms:
    """Read every version of the earning rules and of the policies."""
    rules: dict[int, list[EarningRule]] = {}
    for rule in (await earning_rules(db)).values():
        rules.setdefault(rule.business_id, []).append(rule)
    return Terms(rules, await policies(db))


async def earning_rules(db: AsyncConnection) -> dict[int, EarningRule]:
    """Read every version of the earning rules by its number, newest first for each business."""
    rows = await db.execute(
        text("""
          SELECT r.*, b.currency, b.time_zone, b.day_starts_at_hour
          FROM earning_rule r JOIN business b USING (business_id)
          ORDER BY business_id, effective_from DESC""")
    )
    return {row.rule_id: _rule(row) for row in rows}


def _rule(row: Row[Any]) -> EarningRule:
    facts: dict[str, Any] = row._asdict()
    for kinds in ("earning_line_kinds", "excluded_tender_kinds"):
        facts[kinds] = frozenset(facts[kinds])
    facts["rates"] = tuple(
        read_rate(packed, qualifying_per_unit=row.qualifying_per_unit) for packed in row.rates
    )
    facts["multipliers"] = tuple(read_multiplier(packed) for packed in row.multipliers)
    return EarningRule(**facts)


async def exchange_rates(db: AsyncConnection) -> Table:
    """Read every version of the exchange rates."""
    table: dict[tuple[str, str], list[ExchangeRate]] = {}
    rows = await db.execute(
        text("""
          SELECT from_currency, to_currency, effective_from, rate FROM exchange_rate
          ORDER BY from_currency, to_currency, effective_from DESC""")
    )
    for row in rows:
        version = ExchangeRate(effective_from=row.effective_from, rate=row.rate)
        table.setdefault((row.from_currency, row.to_currency), []).append(version)
    return table
