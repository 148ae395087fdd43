"""Payment accounts: where each business is paid and pays from, dated, and read back."""

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.delivery import open_sealed
from hub.crypto.keyring import Keyring
from hub.errors import Malformed
from hub.programme.versions import CURRENCY
from hub.units import exponent

# ISO 9362; ISO 20022's external codes of clearing systems and how their members are numbered.
_BIC = r"^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$"
_MEMBERS = {
    "CNAPS": r"\d{12}",
    "HKNCC": r"\d{3,6}",
    "USABA": r"\d{9}",
    "GBDSC": r"\d{6}",
    "SGIBG": r"\d{3,7}",
    "AUBSB": r"\d{6}",
}
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", re.ASCII)


class PaymentAccountConfig(BaseModel):
    """A business's account in a currency, from a day on.

    `iban`, or `account_number` as the country writes it; the bank by `bic`, or by
    `clearing_member_id` in a `clearing_system` (an ISO 20022 code: CNAPS, USABA …).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    business: str
    effective_from: date
    currency: str = Field(pattern=CURRENCY)
    holder: str = Field(min_length=1, max_length=140)
    iban: str | None = Field(default=None, repr=False)
    account_number: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{4,34}$", repr=False)
    bic: str | None = Field(default=None, pattern=_BIC)
    clearing_system: str = "CNAPS"
    clearing_member_id: str | None = None

    @field_validator("currency")
    @classmethod
    def _is_money(cls, currency: str) -> str:
        try:
            exponent(currency)
        except Malformed as bad:
            raise ValueError(bad.message) from None
        return currency

    @field_validator("iban")
    @classmethod
    def _is_an_iban(cls, iban: str | None) -> str | None:
        """Check the digits (ISO 13616: what is left of 97 is 1), without quoting the number."""
        if iban is None:
            return None
        plain = iban.replace(" ", "").upper()
        if _IBAN.fullmatch(plain) is None:
            raise ValueError("an IBAN was expected: country, two digits, 11 to 30 more")
        digits = "".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])
        if int(digits) % 97 != 1:
            raise ValueError("the IBAN's check digits are wrong: look for a mistyped one")
        return plain

    @model_validator(mode="after")
    def _names_one_account(self) -> Self:
        if (self.iban is None) == (self.account_number is None):
            raise ValueError("give either iban or account_number")
        if (self.bic is None) == (self.clearing_member_id is None):
            raise ValueError("give either bic or clearing_member_id")
        if self.clearing_member_id is not None:
            shape = _MEMBERS.get(self.clearing_system)
            if shape is None:
                raise ValueError(f"clearing_system is one of {', '.join(_MEMBERS)}")
            if re.fullmatch(shape, self.clearing_member_id, re.ASCII) is None:
                raise ValueError(
                    f"clearing_member_id is no member number of {self.clearing_system}"
                )
        return self


class ClearingAccountConfig(BaseModel):
    """From a day on all is paid through the account of `business`; None: no longer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    effective_from: date
    business: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAccount:
    """An account that is paid from or to. `scheme`: iban or domestic.

    `agent_scheme`: bic, or the clearing system of which `agent` is a member number.
    """

    payment_account_id: int
    business_id: int
    currency: str
    holder: str
    scheme: str
    agent_scheme: str
    agent: str
    ending: str
    number: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What may be shown of an account: its bank and its last characters."""

    agent: str
    ending: str


def number_place(business_id: int, currency: str, effective_from: date) -> str:
    """Return the place that an account's number is sealed for."""
    return f"payment_account|number|{business_id}|{currency}|{effective_from}"


async def accounts(
    db: AsyncConnection, *, account_ids: list[int], keyring: Keyring
) -> dict[int, PaymentAccount]:
    """Return accounts by id, their numbers opened."""
    rows = await db.execute(
        text("""
          SELECT payment_account_id, business_id, currency, holder, scheme, agent_scheme, agent,
            ending, number, effective_from
          FROM payment_account WHERE payment_account_id = ANY(CAST(:ids AS integer[]))"""),
        {"ids": account_ids},
    )
    found = {}
    for row in rows:
        facts = row._asdict()
        place = number_place(row.business_id, row.currency, facts.pop("effective_from"))
        facts["number"] = open_sealed(keyring, row.number, context=place).decode()
        found[row.payment_account_id] = PaymentAccount(**facts)
    return found


async def accounts_in_force(db: AsyncConnection, *, on: date) -> dict[tuple[int, str], int]:
    """Return the id of the account in force of each business and currency."""
    rows = await db.execute(
        text("""
          SELECT DISTINCT ON (business_id, currency) business_id, currency, payment_account_id
          FROM payment_account WHERE effective_from <= :on
          ORDER BY business_id, currency, effective_from DESC"""),
        {"on": on},
    )
    return {(row.business_id, row.currency): row.payment_account_id for row in rows}


async def clearing_business(db: AsyncConnection, *, on: date) -> int | None:
    """Return the business through whose account all is paid on a day; None: each pays another."""
    found: int | None = await db.scalar(
        text("""
          SELECT business_id FROM clearing_account WHERE effective_from <= :on
          ORDER BY effective_from DESC LIMIT 1"""),
        {"on": on},
    )
    return found


async def endings(db: AsyncConnection, *, account_ids: list[int]) -> dict[int, Ending]:
    """Return what may be shown of accounts, by id."""
    rows = await db.execute(
        text("""
          SELECT payment_account_id, agent, ending FROM payment_account
          WHERE payment_account_id = ANY(CAST(:ids AS integer[]))"""),
        {"ids": account_ids},
    )
    return {row.payment_account_id: Ending(agent=row.agent, ending=row.ending) for row in rows}
