"""Configure occasions: those of a group's file become dated terms, none of them edited."""

from collections.abc import Sequence
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, NotFound
from hub.members.birthdays import Calendar, LeapDay
from hub.programme.queries import business_by_code
from hub.programme.versions import CODE, add_version


class OccasionConfig(BaseModel):
    """A version of an occasion, for days from `effective_from` on.

    It gives `points`, which `business` issues, a voucher of the campaign `voucher`, and `uses` of
    a `benefit` until `valid_days` after the day: any of these, and with none it is over.
    `days_ahead`: it gives them so many days before the day.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=CODE)
    kind: Literal["birthday", "anniversary"]
    calendar: Calendar = Calendar.GREGORIAN
    effective_from: date
    name: str = Field(min_length=1, max_length=200)
    name_zh: str = Field(min_length=1, max_length=200)
    points: int | None = Field(default=None, gt=0, le=1_000_000_000)
    business: str | None = None
    voucher: str | None = None
    benefit: str | None = None
    uses: int = Field(default=1, gt=0, le=1_000_000)
    valid_days: int = Field(default=30, ge=0, le=3_660)
    days_ahead: int = Field(default=0, ge=0, le=60)
    leap_day: LeapDay = LeapDay.FEB28

    @model_validator(mode="after")
    def _possible(self) -> "OccasionConfig":
        if (self.points is None) != (self.business is None):
            raise ValueError("points need the business that issues them, and it says how many")
        if self.kind == "anniversary" and self.calendar is not Calendar.GREGORIAN:
            raise ValueError("only a birthday is kept by the lunar calendar")
        return self


async def configure_occasions(db: AsyncConnection, *, occasions: Sequence[OccasionConfig]) -> None:
    """Make the occasions what the rows say. The same again changes nothing.

    Raises Conflict, naming the field, when terms that exist would have to be edited, NotFound for
    a business or campaign that is not configured, Malformed for a business without a shop.
    """
    for occasion in occasions:
        key = {
            "occasion_id": await _occasion(db, occasion),
            "effective_from": occasion.effective_from,
        }
        facts = occasion.model_dump(
            include={
                "name", "name_zh", "points", "uses", "valid_days", "days_ahead", "leap_day"
            },
            mode="json",
        )  # fmt: skip
        facts |= dict.fromkeys(("business_id", "campaign_id", "benefit_id"))
        if occasion.business is not None:
            issuer = await business_by_code(db, occasion.business)
            facts["business_id"] = issuer.with_a_shop().business_id
        if occasion.voucher is not None:
            facts["campaign_id"] = await _known(
                db, "SELECT campaign_id FROM voucher_campaign WHERE code = :code", occasion.voucher,
                field="voucher",
            )  # fmt: skip
        if occasion.benefit is not None:
            facts["benefit_id"] = await _known(
                db, "SELECT benefit_id FROM benefit WHERE code = :code", occasion.benefit,
                field="benefit",
            )  # fmt: skip
        await add_version(db, "occasion_terms", key, facts)


async def _occasion(db: AsyncConnection, occasion: OccasionConfig) -> int:
    await db.execute(
        text("""
          INSERT INTO occasion (code, kind, calendar) VALUES (:code, :kind, :calendar)
          ON CONFLICT (code) DO NOTHING"""),
        {"code": occasion.code, "kind": occasion.kind, "calendar": occasion.calendar.value},
    )
    stored = (
        await db.execute(
            text("SELECT occasion_id, kind, calendar FROM occasion WHERE code = :code"),
            {"code": occasion.code},
        )
    ).one()
    for name, value in (("kind", occasion.kind), ("calendar", occasion.calendar.value)):
        if getattr(stored, name) != value:
            raise Conflict(
                f"occasion {occasion.code} has the {name} {getattr(stored, name)} and keeps it: "
                "give the new one its own code",
                field=name,
            )
    occasion_id: int = stored.occasion_id
    return occasion_id


async def _known(db: AsyncConnection, query: str, code: str, *, field: str) -> int:
    found = await db.scalar(text(query), {"code": code})
    if found is None:
        raise NotFound(f"there is no {field} {code!r} to give: configure it first", field=field)
    return int(found)
