"""Apply a group's configuration: what is new becomes a new dated version, nothing is edited."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, HubError, Malformed, NotFound, Rejected
from hub.programme.apply_policies import apply_policies
from hub.programme.chart import BooksConfig, ChartConfig, apply_books, apply_chart
from hub.programme.policy_config import PoliciesConfig
from hub.programme.policy_queries import policies
from hub.programme.queries import business_by_code
from hub.programme.rank_sources import rank_sources
from hub.programme.rate_config import ExchangeRateConfig, MultiplierConfig, RateConfig
from hub.programme.versions import CODE, CURRENCY, add_version

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


class AgreementTaxConfig(_Config):
    """How an agreement's lines of a kind are taxed: `rate` is a fraction, 0.06 for six per cent.

    `included`: what is agreed contains the tax; else the tax comes on top.
    """

    kind: Literal["redemption", "issue", "benefit", "breakage"]
    code: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")
    rate: Decimal = Field(ge=0, lt=1, max_digits=8, decimal_places=8)
    included: bool = False


class AgreementConfig(_Config):
    """A version of an agreement; without a rate the lot's own cost rate is paid.

    `at_issue`, the acceptor is the programme company: it is paid the rate per point issued, and
    owes the points from then on. `breakage_owner` keeps the price of those that expire.
    """

    issuer: str
    acceptor: str
    effective_from: date
    basis: Literal["at_redemption", "at_issue"] = "at_redemption"
    breakage_owner: Literal["issuer", "programme"] | None = None
    rate_per_point: Decimal | None = Field(default=None, ge=0)
    currency: str = Field(pattern=CURRENCY)
    taxes: tuple[AgreementTaxConfig, ...] = ()

    @field_validator("taxes")
    @classmethod
    def _once(cls, taxes: tuple[AgreementTaxConfig, ...]) -> tuple[AgreementTaxConfig, ...]:
        kinds = [tax.kind for tax in taxes]
        if len(kinds) != len(set(kinds)):
            raise ValueError("name each kind of line once: a line bears one tax")
        return taxes

    @model_validator(mode="after")
    def _sells_for_a_price(self) -> "AgreementConfig":
        if self.basis == "at_issue" and self.rate_per_point is None:
            raise ValueError("points are sold at issue for a rate_per_point: name it")
        if self.basis != "at_issue" and self.breakage_owner is not None:
            raise ValueError("breakage_owner is for points that are sold at_issue")
        return self

    @property
    def keeps_breakage(self) -> str | None:
        """Return who keeps the price of points that expire: of points sold, the company."""
        return (self.breakage_owner or "programme") if self.basis == "at_issue" else None


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
        await _apply_agreement(db, agreement, ids)
    for rank in config.source_ranks:
        await rank_sources(db, **rank.model_dump(), ranked_by=RANKED_BY_FILE)
    for chart in config.charts:
        await apply_chart(db, chart)
    for books in config.books:
        await apply_books(db, books)


def _known(named: Mapping[str, str | None], ids: Mapping[str, int]) -> None:
    for field, code in named.items():
        if code is not None and code not in ids:
            raise NotFound(f"there is no business {code!r} among the group's", field=field)


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


# The kinds of lines, as hub.settlement.codes numbers them.
_TAXED = {"redemption": 1, "issue": 2, "benefit": 3, "breakage": 5}
_AGREED = text("""
SELECT agreement_id FROM agreement WHERE issuer_id = :issuer_id AND acceptor_id = :acceptor_id
  AND effective_from = :effective_from""")


async def _apply_agreement(
    db: AsyncConnection, agreement: AgreementConfig, ids: dict[str, int]
) -> None:
    _known({"issuer": agreement.issuer, "acceptor": agreement.acceptor}, ids)
    key = {
        "issuer_id": ids[agreement.issuer],
        "acceptor_id": ids[agreement.acceptor],
        "effective_from": agreement.effective_from,
    }
    new = await db.scalar(_AGREED, key) is None
    facts = agreement.model_dump(include={"rate_per_point", "currency", "basis"})
    facts["breakage_owner"] = agreement.keeps_breakage
    try:
        async with db.begin_nested():
            await add_version(db, "agreement", key, facts)
    except IntegrityError as refused:
        raise _refusal(refused, agreement) from refused
    agreement_id = await db.scalar(_AGREED, key)
    asked = {(_TAXED[t.kind], t.code, t.rate, t.included) for t in agreement.taxes}
    if new:
        for kind, code, rate, included in sorted(asked):
            await db.execute(
                text("""
                  INSERT INTO agreement_tax (agreement_id, kind, tax_code, tax_rate, tax_included)
                  VALUES (:agreement_id, :kind, :code, :rate, :included)"""),
                {
                    "agreement_id": agreement_id,
                    "kind": kind,
                    "code": code,
                    "rate": rate,
                    "included": included,
                },
            )
        return
    stored = await db.execute(
        text("""
          SELECT kind, tax_code, tax_rate, tax_included FROM agreement_tax
          WHERE agreement_id = :agreement_id"""),
        {"agreement_id": agreement_id},
    )
    if {tuple(row) for row in stored} != asked:
        raise Conflict(
            f"the agreement {agreement.issuer}>{agreement.acceptor} of {agreement.effective_from} "
            "is in force and its taxes cannot be edited: give the new version its own "
            "effective_from",
            field="taxes",
        )


def _refusal(refused: IntegrityError, agreement: AgreementConfig) -> HubError:
    """Return what the database says against a version (agreement_possible), as a refusal."""
    said = refused.orig.__cause__ if refused.orig else None
    if getattr(said, "constraint_name", None) != "agreement_possible":
        raise refused
    return Rejected(
        f"the agreement {agreement.issuer}>{agreement.acceptor} of {agreement.effective_from} "
        f"cannot be: {said}",
        field="agreements",
    )


async def _apply_rule(db: AsyncConnection, rule: EarningRuleConfig, ids: dict[str, int]) -> None:
    _known({"business": rule.business, "funder": rule.funder}, ids)
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
