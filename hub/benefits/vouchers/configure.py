"""Configure campaigns: those of a group's file become dated terms, none of them edited."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.terms import VoucherKind
from hub.errors import Conflict, Malformed, NotFound
from hub.programme.queries import business_by_code
from hub.programme.versions import CODE, CURRENCY, add_version
from hub.units import MOST_MINOR, exponent

Minor = Annotated[int, Field(gt=0, le=MOST_MINOR)]
_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"
_OFFERS = ("amount_minor", "percent", "cap_minor", "threshold_minor", "item", "points", "benefit",
           "benefit_uses", "benefit_days")  # fmt: skip
# What each kind must say of these, and what it may.
_MUST = {
    VoucherKind.CASH: {"amount_minor"},
    VoucherKind.PERCENTAGE: {"percent"},
    VoucherKind.THRESHOLD: {"threshold_minor", "amount_minor"},
    VoucherKind.GIFT: {"item", "price_minor"},
    VoucherKind.POINTS: {"points", "price_minor"},
    VoucherKind.DELIVERY: set[str](),
    VoucherKind.BENEFIT: {"benefit", "benefit_uses"},
}
_MAY = {
    VoucherKind.PERCENTAGE: {"cap_minor"},
    VoucherKind.DELIVERY: {"cap_minor"},
    VoucherKind.BENEFIT: {"benefit_days"},
}


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HoursConfig(_Config):
    """Hours on days of the week (1 Monday), in the shop's zone; `until` is exclusive.

    `until` at or before `from` is on the next day.
    """

    weekdays: list[Annotated[int, Field(ge=1, le=7)]] = Field(min_length=1)
    from_: str = Field(pattern=_CLOCK, alias="from")
    until: str = Field(pattern=_CLOCK)


class CampaignConfig(_Config):
    """A version of a campaign's terms, for vouchers issued from `effective_from` on.

    Money is in minor units of `currency`. Each voucher may be used `uses` times; with `keeps_rest`
    a cash voucher is used until its value is. `price_minor` is what `funder` pays a business per
    use; unsaid, what the voucher took off. `valid_days`: it ends so many days after it is
    assigned. A voucher of a `benefit` gives `benefit_uses` of it as it becomes a member's, for
    `benefit_days`; unsaid, until the voucher would end. `on_refund`: what comes back to the voucher
    as a sale is refunded.
    """

    code: str = Field(pattern=CODE)
    kind: VoucherKind
    effective_from: AwareDatetime
    name: str = Field(min_length=1, max_length=200)
    name_zh: str = Field(min_length=1, max_length=200)
    funder: str
    currency: str = Field(pattern=CURRENCY)
    businesses: list[str] = Field(min_length=1)
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    valid_days: int | None = Field(default=None, gt=0, le=3660)
    amount_minor: Minor | None = None
    percent: Decimal | None = Field(default=None, gt=0, le=100, decimal_places=2)
    cap_minor: Minor | None = None
    threshold_minor: Minor | None = None
    repeats: bool = False
    item: str | None = Field(default=None, min_length=1, max_length=200)
    points: int | None = Field(default=None, gt=0, le=MOST_MINOR)
    benefit: str | None = Field(default=None, pattern=CODE)
    benefit_uses: int | None = Field(default=None, gt=0, le=10_000)
    benefit_days: int | None = Field(default=None, gt=0, le=3660)
    uses: int = Field(default=1, gt=0, le=1_000_000)
    keeps_rest: bool = False
    price_minor: int | None = Field(default=None, ge=0, le=MOST_MINOR)
    per_member: int | None = Field(default=None, gt=0, le=1_000_000)
    minimum_minor: int = Field(default=0, ge=0, le=MOST_MINOR)
    outlets: list[str] = []
    categories: list[str] = []
    times: list[HoursConfig] = []
    stacking_group: str | None = Field(default=None, pattern=CODE)
    alone: bool = False
    transferable: bool = False
    on_refund: Literal["proportion", "whole", "lost"] = "proportion"
    grace_days: int = Field(default=0, ge=0, le=3660)

    @model_validator(mode="after")
    def _possible(self) -> "CampaignConfig":
        said = {name for name in (*_OFFERS, "price_minor") if getattr(self, name) is not None}
        must = _MUST[self.kind]
        if missing := sorted(must - said):
            raise ValueError(f"a {self.kind} voucher needs {', '.join(missing)}")
        if idle := sorted(said - must - _MAY.get(self.kind, set()) - {"price_minor"}):
            raise ValueError(f"a {self.kind} voucher has no {', '.join(idle)}")
        if self.kind is VoucherKind.BENEFIT and (
            self.uses != 1 or self.transferable or self.price_minor is not None
        ):
            raise ValueError(
                "a voucher of a benefit is used as it becomes a member's, and costs its funder "
                "nothing: leave out uses, transferable and price_minor"
            )
        if self.repeats and self.kind is not VoucherKind.THRESHOLD:
            raise ValueError("only a threshold voucher repeats")
        if self.keeps_rest and (
            self.kind is not VoucherKind.CASH or self.uses != 1 or self.price_minor is not None
        ):
            raise ValueError(
                "only a cash voucher keeps its rest; it has no number of uses, and its funder pays "
                "what is taken of it: leave out uses and price_minor"
            )
        if self.threshold_minor is not None and (self.amount_minor or 0) > self.threshold_minor:
            raise ValueError("a threshold voucher takes off no more than its threshold_minor")
        if self.valid_from >= self.valid_until:
            raise ValueError("valid_from must come before valid_until")
        exponent(self.currency)
        return self


async def configure_campaigns(db: AsyncConnection, *, campaigns: Sequence[CampaignConfig]) -> None:
    """Make the campaigns what the rows say. The same again changes nothing.

    Vouchers that were issued keep the terms they were issued under. Raises Conflict, naming the
    field, when terms that exist would have to be edited, NotFound for a business that is not
    configured, Malformed for one without a shop.
    """
    for campaign in campaigns:
        campaign_id = await _campaign(db, campaign)
        facts, times = await _facts(db, campaign)
        await add_version(
            db,
            "voucher_terms",
            {"campaign_id": campaign_id, "effective_from": campaign.effective_from},
            facts,
            {"times": times},
        )


async def refuse_benefits(db: AsyncConnection, *, code: str, field: str) -> None:
    """Raise Malformed for a campaign of vouchers that are used at once: nothing can be taken back.

    Whoever gives such a voucher can give the benefit itself.
    """
    kind = await db.scalar(
        text("SELECT kind FROM voucher_campaign WHERE code = :code"), {"code": code}
    )
    if kind == VoucherKind.BENEFIT:
        raise Malformed(f"vouchers of {code} give a benefit: name the benefit itself", field=field)


async def _campaign(db: AsyncConnection, campaign: CampaignConfig) -> int:
    await db.execute(
        text("""
          INSERT INTO voucher_campaign (code, kind) VALUES (:code, :kind)
          ON CONFLICT (code) DO NOTHING"""),
        {"code": campaign.code, "kind": campaign.kind},
    )
    stored = (
        await db.execute(
            text("SELECT campaign_id, kind FROM voucher_campaign WHERE code = :code"),
            {"code": campaign.code},
        )
    ).one()
    if stored.kind != campaign.kind:
        raise Conflict(
            f"campaign {campaign.code} has the kind {stored.kind} and keeps it: give the new one "
            "its own code",
            field="kind",
        )
    campaign_id: int = stored.campaign_id
    return campaign_id


async def _facts(
    db: AsyncConnection, campaign: CampaignConfig
) -> tuple[dict[str, object], list[dict[str, Any]]]:
    facts: dict[str, object] = campaign.model_dump(
        exclude={
            "code",
            "kind",
            "effective_from",
            "funder",
            "uses",
            "keeps_rest",
            "times",
            "benefit",
        }
    )
    facts["benefit_id"] = await _benefit(db, campaign.benefit)
    facts["funder_id"] = (await business_by_code(db, campaign.funder)).business_id
    facts["businesses"] = sorted(
        [
            (await business_by_code(db, code)).with_a_shop(field="businesses").business_id
            for code in campaign.businesses
        ]
    )
    facts["by_value"] = campaign.keeps_rest
    facts["granted"] = campaign.amount_minor if campaign.keeps_rest else campaign.uses
    if len(set(campaign.businesses)) != len(campaign.businesses):
        raise Malformed("a business is named twice", field="businesses")
    return facts, [hours.model_dump(by_alias=True) for hours in campaign.times]


async def _benefit(db: AsyncConnection, code: str | None) -> int | None:
    if code is None:
        return None
    found: int | None = await db.scalar(
        text("SELECT benefit_id FROM benefit WHERE code = :code"), {"code": code}
    )
    if found is None:
        raise NotFound(f"there is no benefit {code!r}", field="benefit")
    return found
