"""Apply a group's configuration: what is new becomes a new dated version, nothing is edited."""

from decimal import Decimal
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed
from hub.programme.agree import AgreementConfig, agree
from hub.programme.apply_policies import apply_policies
from hub.programme.chart import BooksConfig, ChartConfig, apply_books, apply_chart
from hub.programme.policy_config import PoliciesConfig
from hub.programme.policy_queries import policies
from hub.programme.queries import business_by_code
from hub.programme.rank_sources import rank_sources
from hub.programme.rate_config import ExchangeRateConfig, MultiplierConfig, RateConfig
from hub.programme.versions import CODE, CURRENCY, add_version, known

RANKED_BY_FILE = "file"
"""Who ranks the sources that a group's file ranks."""


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GroupConfig(_Config):
    """The group: its name, calendar and currency."""

    name: str
    time_zone: str
    currency: str = Field(pattern=CURRENCY)


class BusinessConfig(_Config):
    """A business and the legal entity whose books it is in.

    One of kind `programme` is the company that sells points to the others: it has no shop.
    `loyalty_check`: how the last digit of its customers' loyalty numbers is computed, if at all.
    """

    code: str = Field(pattern=CODE)
    name: str
    kind: Literal["retail", "hotel", "dining", "programme"]
    legal_entity: str = Field(pattern=CODE)
    legal_name: str
    currency: str = Field(pattern=CURRENCY)
    country: str = Field(pattern=r"^[A-Z]{2}$")
    time_zone: str
    day_starts_at_hour: int = Field(default=0, ge=0, le=12)
    loyalty_check: Literal["luhn"] | None = None


class EarningRuleConfig(_Config):
    """A version of a business's earning rule (see hub.programme.earning).

    Caps are points of a bill, and of a member's business date. `unit` is a spendable unit's code,
    `funder` the business that pays for the points (None: the issuer).
    """

    business: str
    effective_from: AwareDatetime
    points_per_unit: Decimal = Field(ge=0)
    qualifying_per_unit: Decimal = Field(ge=0)
    cost_per_point: Decimal = Field(ge=0)
    earning_line_kinds: list[str] = ["item", "room", "package", "fee", "service_charge"]
    excluded_tender_kinds: list[str] = [
        "points", "voucher", "giftcard", "stored_value", "room_charge", "comp",
    ]  # fmt: skip
    rates: list[RateConfig] = []
    multipliers: list[MultiplierConfig] = []
    cap_per_event: int | None = Field(default=None, gt=0)
    cap_per_day: int | None = Field(default=None, gt=0)
    unit: str = "points"
    funder: str | None = None


class SourceRankConfig(_Config):
    """Whose word on an attribute of members is believed more: codes of businesses, best first."""

    attribute: Literal["name", "phone", "email", "birthday"]
    effective_from: AwareDatetime
    businesses: list[str]


class ProgrammeConfig(PoliciesConfig):
    """Everything that hub.programme keeps about a group."""

    group: GroupConfig
    businesses: list[BusinessConfig]
    earning_rules: tuple[EarningRuleConfig, ...] = ()
    exchange_rates: tuple[ExchangeRateConfig, ...] = ()
    agreements: tuple[AgreementConfig, ...] = ()
    source_ranks: tuple[SourceRankConfig, ...] = ()
    charts: tuple[ChartConfig, ...] = ()
    books: tuple[BooksConfig, ...] = ()


async def apply(db: AsyncConnection, *, config: ProgrammeConfig) -> None:
    """Make the programme what `config` says. Applying the same again changes nothing.

    Raises Conflict, naming the field, when a version that exists would have to be edited: give
    the change a new `effective_from` instead; NotFound for a unit, a business of an earning rule or
    agreement, or a chart's legal entity, that is not configured; Rejected for an agreement at issue
    that cannot be.
    """
    await db.execute(
        text("""
          INSERT INTO programme (name, time_zone, currency) VALUES (:name, :time_zone, :currency)
          ON CONFLICT (singleton) DO UPDATE SET name = excluded.name,
            time_zone = excluded.time_zone, currency = excluded.currency"""),
        config.group.model_dump(),
    )
    for business in config.businesses:
        await _apply_business(db, business)
    ids = {b.code: (await business_by_code(db, b.code)).business_id for b in config.businesses}
    await apply_policies(db, config=config, business_ids=ids)
    for rule in config.earning_rules:
        await _apply_rule(db, rule, ids)
    for exchange in config.exchange_rates:
        key = exchange.model_dump(exclude={"rate"})
        await add_version(db, "exchange_rate", key, {"rate": exchange.rate})
    for agreement in config.agreements:
        await agree(db, config=agreement, ids=ids)
    for rank in config.source_ranks:
        await rank_sources(db, **rank.model_dump(), ranked_by=RANKED_BY_FILE)
    for chart in config.charts:
        await apply_chart(db, chart)
    for books in config.books:
        await apply_books(db, books)


async def _apply_business(db: AsyncConnection, business: BusinessConfig) -> None:
    await db.execute(
        text("""
          WITH entity AS (
            INSERT INTO legal_entity (code, name) VALUES (:legal_entity, :legal_name)
            ON CONFLICT (code) DO UPDATE SET name = excluded.name RETURNING legal_entity_id)
          INSERT INTO business (code, name, kind, legal_entity_id, currency, country, time_zone,
            day_starts_at_hour, loyalty_check)
          SELECT :code, :name, :kind, legal_entity_id, :currency, :country, :time_zone,
            :day_starts_at_hour, :loyalty_check FROM entity
          ON CONFLICT (code) DO UPDATE SET name = excluded.name, time_zone = excluded.time_zone,
            day_starts_at_hour = excluded.day_starts_at_hour,
            loyalty_check = excluded.loyalty_check"""),
        business.model_dump(),
    )


async def _apply_rule(db: AsyncConnection, rule: EarningRuleConfig, ids: dict[str, int]) -> None:
    known({"business": rule.business, "funder": rule.funder}, ids)
    (await business_by_code(db, rule.business)).with_a_shop()
    unit = (await policies(db)).unit(rule.unit)
    if unit.kind != "spendable":
        raise Malformed(
            f"{rule.unit} points follow from the rule's qualifying rate: name a spendable unit",
            field="unit",
        )
    key = {"business_id": ids[rule.business], "effective_from": rule.effective_from}
    facts = rule.model_dump(
        exclude={"business", "effective_from", "rates", "multipliers", "unit", "funder"}
    )
    facts["unit"] = unit.unit_id
    facts["funder_id"] = None if rule.funder is None else ids[rule.funder]
    documents = {
        "rates": [rate.packed() for rate in rule.rates],
        "multipliers": [multiplier.packed() for multiplier in rule.multipliers],
    }
    await add_version(db, "earning_rule", key, facts, documents)
