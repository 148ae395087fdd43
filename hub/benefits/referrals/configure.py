"""Configure referrals: the terms of a group's file become dated rows, none of them edited."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.key import code_key
from hub.crypto.keyring import Keyring
from hub.programme.queries import business_by_code
from hub.programme.versions import CURRENCY, add_version


class ReferralConfig(BaseModel):
    """What makes a referral count, for those that are said from `effective_from` on.

    A new member says who referred them within `join_within_days` of joining, and buys within
    `buy_within_days` of saying so: one bill, at one of `businesses` (none: any), of which
    `min_spend_minor` of `currency` can earn. Of a referrer `most` count in a calendar `period`
    (none: any number). With `open` false nobody can say so any more.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    effective_from: datetime
    open: bool = True
    join_within_days: int = Field(default=30, ge=0, le=3_660)
    buy_within_days: int = Field(default=90, ge=0, le=3_660)
    min_spend_minor: int = Field(default=0, ge=0, le=10**15)
    currency: str | None = Field(default=None, pattern=CURRENCY)
    businesses: tuple[str, ...] = ()
    most: int | None = Field(default=None, gt=0, le=1_000_000)
    period: Literal["month", "year"] = "year"

    @model_validator(mode="after")
    def _possible(self) -> "ReferralConfig":
        if self.effective_from.tzinfo is None:
            raise ValueError("effective_from needs a UTC offset")
        if self.min_spend_minor and self.currency is None:
            raise ValueError("min_spend_minor needs its currency")
        return self


async def configure_referrals(
    db: AsyncConnection, *, referrals: Sequence[ReferralConfig], keyring: Keyring
) -> None:
    """Make the terms what the rows say. The same again changes nothing.

    Raises Conflict, naming the field, when terms that exist would have to be edited, NotFound for
    a business that is not configured, Malformed for one without a shop.
    """
    if referrals:
        await code_key(db, keyring=keyring)
    for terms in referrals:
        shops = [(await business_by_code(db, code)).with_a_shop() for code in terms.businesses]
        facts = terms.model_dump(
            include={
                "join_within_days", "buy_within_days", "min_spend_minor", "currency", "most",
                "period",
            }
        )  # fmt: skip
        facts |= {
            "is_open": terms.open,
            "businesses": sorted({shop.business_id for shop in shops}) or None,
        }
        await add_version(db, "referral_terms", {"effective_from": terms.effective_from}, facts)
