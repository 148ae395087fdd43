"""A legal entity's chart of accounts, as far as points and settlement need it.

The hub knows what an account is for, its purpose; which account that is, in whose numbering and
under which standard, is configuration.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound
from hub.programme.versions import CODE, add_version

Code = Annotated[str, Field(pattern=CODE)]
Printable = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Purpose(StrEnum):
    """What an account is for.

    GOODS_REVENUE         revenue from what was sold, of which points take their share
    POINTS_REVENUE        revenue as points are redeemed
    AGENCY_REVENUE        an agent's: what was deferred, less what a partner is paid
    BREAKAGE_REVENUE      what was deferred for redemptions that cannot come any more
    CATCH_UP_REVENUE      what a new estimate puts right
    CONTRACT_LIABILITY    what is owed to members for their points
    OPENING_BALANCE       against what members brought from before the hub
    POINTS_GRANTED        points given without a sale
    POINTS_PURCHASED      what an issuer pays a programme company for points
    POINTS_SOLD           what a programme company is paid, until it is deferred
    REDEMPTION_COST       what is paid to a partner that took the points
    PARTNER_REVENUE       what a partner's points pay for
    BENEFIT_COST, BENEFIT_REVENUE, VOUCHER_COST, VOUCHER_REVENUE
                          what a funder pays whoever served a benefit, or took a voucher
    PLAN_COLLECTED        what was taken for plans of others, until it is owed to them
    PLAN_REVENUE          what others took for one's own plans
    COMMISSION_COST, COMMISSION_REVENUE
                          what is paid for that
    CORRECTION_COST, CORRECTION_REVENUE
                          lines that correct earlier ones
    PREFUND_PAID, PREFUND_HELD
                          what was paid ahead, at who paid and at who holds it
    RECEIVABLE, PAYABLE   between businesses of the group
    INPUT_TAX, OUTPUT_TAX tax on what is paid, and on what is received
    """

    GOODS_REVENUE = "goods_revenue"
    POINTS_REVENUE = "points_revenue"
    AGENCY_REVENUE = "agency_revenue"
    BREAKAGE_REVENUE = "breakage_revenue"
    CATCH_UP_REVENUE = "catch_up_revenue"
    CONTRACT_LIABILITY = "contract_liability"
    OPENING_BALANCE = "opening_balance"
    POINTS_GRANTED = "points_granted"
    POINTS_PURCHASED = "points_purchased"
    POINTS_SOLD = "points_sold"
    REDEMPTION_COST = "redemption_cost"
    PARTNER_REVENUE = "partner_revenue"
    BENEFIT_COST = "benefit_cost"
    BENEFIT_REVENUE = "benefit_revenue"
    VOUCHER_COST = "voucher_cost"
    VOUCHER_REVENUE = "voucher_revenue"
    PLAN_COLLECTED = "plan_collected"
    PLAN_REVENUE = "plan_revenue"
    COMMISSION_COST = "commission_cost"
    COMMISSION_REVENUE = "commission_revenue"
    CORRECTION_COST = "correction_cost"
    CORRECTION_REVENUE = "correction_revenue"
    PREFUND_PAID = "prefund_paid"
    PREFUND_HELD = "prefund_held"
    RECEIVABLE = "receivable"
    PAYABLE = "payable"
    INPUT_TAX = "input_tax"
    OUTPUT_TAX = "output_tax"


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChartAccountConfig(_Config):
    """An account: its code and name in the entity's own books."""

    code: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$")
    name: Printable


class ChartConfig(_Config):
    """Accounts of legal entities from a business date on; those not named stay as they were."""

    legal_entities: tuple[Code, ...] = Field(min_length=1)
    effective_from: date
    accounts: dict[Purpose, ChartAccountConfig] = Field(min_length=1)


class BooksConfig(_Config):
    """What an entity's books call things, for files that are to be read in there.

    `company_code` is the entity's own number (a company code, an account book; None: the entity's
    code), `voucher_group` the word that vouchers are numbered under, `document_type` the kind of
    document, `currency_code` what the books call the currency (None: its ISO code), `untaxed` the
    name of the tax rate that is none.
    """

    legal_entity: Code
    effective_from: date
    company_code: Printable | None = None
    voucher_group: Printable = "记"
    document_type: Printable = "SA"
    currency_code: Printable | None = None
    untaxed: Printable = "Tax Exempt"


async def apply_chart(db: AsyncConnection, chart: ChartConfig) -> None:
    """Make entities' accounts what `chart` says. Applying the same again changes nothing.

    Raises Conflict, naming the field, when a version in force would have to be edited; NotFound for
    a legal entity that no business is of.
    """
    for entity in chart.legal_entities:
        key = await _key(db, entity, chart.effective_from, field="legal_entities")
        for purpose, account in sorted(chart.accounts.items()):
            await add_version(
                db, "chart_account", {**key, "purpose": purpose.value}, account.model_dump()
            )


async def apply_books(db: AsyncConnection, books: BooksConfig) -> None:
    """Make what an entity's books call things what `books` says; raises as `apply_chart` does."""
    key = await _key(db, books.legal_entity, books.effective_from, field="legal_entity")
    facts = books.model_dump(exclude={"legal_entity", "effective_from"})
    await add_version(db, "chart_books", key, facts)


async def _key(
    db: AsyncConnection, entity: str, effective_from: date, *, field: str
) -> dict[str, object]:
    entity_id = await db.scalar(
        text("SELECT legal_entity_id FROM legal_entity WHERE code = :code"), {"code": entity}
    )
    if entity_id is None:
        raise NotFound(f"there is no legal entity {entity!r} among the businesses'", field=field)
    return {"legal_entity_id": entity_id, "effective_from": effective_from}
