"""Agree: what an issuer pays an acceptor becomes a dated version, with its rates and taxes."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, HubError, Rejected
from hub.programme.versions import CURRENCY, add_version, known

PURPOSE = r"^[a-z0-9][a-z0-9_-]{0,62}$"
"""What an award or a category is called, as tills name it."""


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AgreementTaxConfig(_Config):
    """How an agreement's lines of a kind are taxed: `rate` is a fraction, 0.06 for six per cent.

    `included`: what is agreed contains the tax; else the tax comes on top.
    """

    kind: Literal["redemption", "issue", "benefit", "voucher", "breakage", "plan", "commission"]
    code: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")
    rate: Decimal = Field(ge=0, lt=1, max_digits=8, decimal_places=8)
    included: bool = False


class AgreementRateConfig(_Config):
    """What a redemption costs that is for an award or a category, or on a day that full.

    `from_percent` begins a band of occupancy, which ends where the next begins. `amount` is for a
    whole redemption of the award, in major units.
    """

    award: str | None = Field(default=None, pattern=PURPOSE)
    category: str | None = Field(default=None, pattern=PURPOSE)
    from_percent: int | None = Field(default=None, ge=0, le=100)
    rate_per_point: Decimal | None = Field(default=None, ge=0, max_digits=12, decimal_places=8)
    amount: Decimal | None = Field(default=None, ge=0, max_digits=18, decimal_places=4)

    @model_validator(mode="after")
    def _one_of_each(self) -> "AgreementRateConfig":
        if sum(one is not None for one in (self.award, self.category, self.from_percent)) != 1:
            raise ValueError("name one of award, category and from_percent")
        if (self.rate_per_point is None) is (self.amount is None):
            raise ValueError("name rate_per_point or amount")
        if self.amount is not None and self.award is None:
            raise ValueError("an amount is for a whole redemption of an award")
        return self


class AgreementConfig(_Config):
    """A version of an agreement; without a rate the lot's own cost rate is paid.

    `at_issue`, the acceptor is the programme company: it is paid the rate per point issued, and
    owes the points from then on. `breakage_owner` keeps the price of those that expire. `hybrid`,
    the acceptor is paid `prefund_per_point` ahead, and redemptions draw on that first.
    `cap_points` and `cap_amount` bound what redemptions of a period come to; `credit_limit` what
    may be owed before it is paid (`on_limit`: finance is alerted at `alert_percent`, or the
    acceptor stops taking the issuer's points).
    """

    issuer: str
    acceptor: str
    effective_from: date
    basis: Literal["at_redemption", "at_issue", "hybrid"] = "at_redemption"
    breakage_owner: Literal["issuer", "programme"] | None = None
    rate_per_point: Decimal | None = Field(default=None, ge=0)
    currency: str = Field(pattern=CURRENCY)
    taxes: tuple[AgreementTaxConfig, ...] = ()
    rates: tuple[AgreementRateConfig, ...] = ()
    occupancy_required: bool = False
    cap_points: int | None = Field(default=None, ge=0)
    cap_amount: Decimal | None = Field(default=None, ge=0, max_digits=18, decimal_places=4)
    credit_limit: Decimal | None = Field(default=None, gt=0, max_digits=18, decimal_places=4)
    alert_percent: int = Field(default=80, ge=1, le=100)
    on_limit: Literal["alert", "stop"] = "alert"
    prefund_per_point: Decimal | None = Field(default=None, gt=0, max_digits=12, decimal_places=8)

    @field_validator("taxes")
    @classmethod
    def _once(cls, taxes: tuple[AgreementTaxConfig, ...]) -> tuple[AgreementTaxConfig, ...]:
        kinds = [tax.kind for tax in taxes]
        if len(kinds) != len(set(kinds)):
            raise ValueError("name each kind of line once: a line bears one tax")
        return taxes

    @field_validator("rates")
    @classmethod
    def _each_once(cls, rates: tuple[AgreementRateConfig, ...]) -> tuple[AgreementRateConfig, ...]:
        named = [(rate.award, rate.category, rate.from_percent) for rate in rates]
        if len(named) != len(set(named)):
            raise ValueError("name each award, category and band once")
        return rates

    @model_validator(mode="after")
    def _sells_for_a_price(self) -> "AgreementConfig":
        if self.basis == "at_issue" and self.rate_per_point is None:
            raise ValueError("points are sold at issue for a rate_per_point: name it")
        if self.basis != "at_issue" and self.breakage_owner is not None:
            raise ValueError("breakage_owner is for points that are sold at_issue")
        if self.basis == "at_issue" and (self.rates or self.occupancy_required):
            raise ValueError("rates are for redemptions: name them where the company pays")
        if (self.basis == "hybrid") is (self.prefund_per_point is None):
            raise ValueError("hybrid is with a prefund_per_point, and nothing else is")
        if self.basis == "hybrid" and self.effective_from.day != 1:
            raise ValueError("a hybrid agreement is effective from the first of a month")
        return self

    @property
    def keeps_breakage(self) -> str | None:
        """Return who keeps the price of points that expire: of points sold, the company."""
        return (self.breakage_owner or "programme") if self.basis == "at_issue" else None


# The kinds of lines, as hub.settlement.codes numbers them.
_TAXED = {"redemption": 1, "issue": 2, "benefit": 3, "voucher": 4, "breakage": 5, "plan": 11,
          "commission": 12}  # fmt: skip
_AGREED = text("""
SELECT agreement_id FROM agreement WHERE issuer_id = :issuer_id AND acceptor_id = :acceptor_id
  AND effective_from = :effective_from""")


async def agree(db: AsyncConnection, *, config: AgreementConfig, ids: Mapping[str, int]) -> None:
    """Add a version of an agreement; one that is there must say the same.

    Raises NotFound for a business that `ids` does not name, Conflict naming what would be edited,
    Rejected for an agreement at issue that cannot be.
    """
    agreement = config
    known({"issuer": agreement.issuer, "acceptor": agreement.acceptor}, ids)
    key = {
        "issuer_id": ids[agreement.issuer],
        "acceptor_id": ids[agreement.acceptor],
        "effective_from": agreement.effective_from,
    }
    new = await db.scalar(_AGREED, key) is None
    facts = agreement.model_dump(
        include={
            "rate_per_point",
            "currency",
            "basis",
            "occupancy_required",
            "cap_points",
            "cap_amount",
            "credit_limit",
            "alert_percent",
            "on_limit",
            "prefund_per_point",
        }
    )
    facts["breakage_owner"] = agreement.keeps_breakage
    try:
        async with db.begin_nested():
            await add_version(db, "agreement", key, facts)
    except IntegrityError as refused:
        raise _refusal(refused, agreement) from refused
    agreement_id = await db.scalar(_AGREED, key)
    tax = ("kind", "tax_code", "tax_rate", "tax_included")
    rate = ("award", "category", "from_percent", "rate_per_point", "amount")
    parts: tuple[tuple[str, str, tuple[str, ...], set[tuple[object, ...]]], ...] = (
        (
            "taxes",
            "agreement_tax",
            tax,
            {(_TAXED[t.kind], t.code, t.rate, t.included) for t in agreement.taxes},
        ),
        (
            "rates",
            "agreement_rate",
            rate,
            {tuple(getattr(one, column) for column in rate) for one in agreement.rates},
        ),
    )
    for field, table, columns, asked in parts:
        if new:
            await _write(db, table, agreement_id, columns, asked)
        elif await _stored(db, table, agreement_id, columns) != asked:
            raise Conflict(
                f"the agreement {agreement.issuer}>{agreement.acceptor} of "
                f"{agreement.effective_from} is in force and its {field} cannot be edited: give "
                "the new version its own effective_from",
                field=field,
            )


async def _write(
    db: AsyncConnection,
    table: str,
    agreement_id: int | None,
    columns: tuple[str, ...],
    rows: set[tuple[object, ...]],
) -> None:
    names, marks = ", ".join(columns), ", ".join(f":{column}" for column in columns)
    for row in sorted(rows, key=str):
        await db.execute(
            text(f"INSERT INTO {table} (agreement_id, {names}) VALUES (:of, {marks})"),  # noqa: S608
            {"of": agreement_id, **dict(zip(columns, row, strict=True))},
        )


async def _stored(
    db: AsyncConnection, table: str, agreement_id: int | None, columns: tuple[str, ...]
) -> set[tuple[object, ...]]:
    rows = await db.execute(
        text(f"SELECT {', '.join(columns)} FROM {table} WHERE agreement_id = :of"),  # noqa: S608
        {"of": agreement_id},
    )
    return {tuple(row) for row in rows}


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
