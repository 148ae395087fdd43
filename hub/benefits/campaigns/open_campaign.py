"""Open a campaign: what many members are to be granted, until when, why, and at whose cost."""

import re
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.requests import MOST_QUANTITY
from hub.errors import Conflict, Malformed, NotFound
from hub.points.checks import named, reasoned
from hub.programme.queries import business_by_code
from hub.programme.versions import CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What each member is granted: `quantity` uses of a benefit, both days inclusive.

    `funder` bears what the uses cost.
    """

    campaign_id: int
    code: str
    benefit: str
    quantity: int
    starts_on: date
    ends_on: date
    funder: str
    reason: str


async def open_campaign(
    db: AsyncConnection,
    *,
    code: str,
    benefit_code: str,
    quantity: int,
    starts_on: date,
    ends_on: date,
    reason: str,
    actor: str,
    now: datetime,
    funder: str | None = None,
) -> Campaign:
    """Keep what a campaign grants, or return the one of that name that says the same.

    Without a `funder` the benefit's own pays. Raises NotFound for a benefit without terms in force
    or an unknown business, Malformed, and Conflict, naming the field, when the campaign of that
    name is another.
    """
    reasoned(reason)
    named(actor)
    if not re.fullmatch(CODE, code):
        raise Malformed("a campaign's name is small letters, digits and dashes", field="campaign")
    if not 1 <= quantity <= MOST_QUANTITY:
        raise Malformed(f"quantity is from 1 to {MOST_QUANTITY}", field="quantity")
    if ends_on < starts_on:
        raise Malformed("what is granted ends before it starts", field="ends_on")
    benefit_id, own = await funded(db, benefit_code=benefit_code, now=now)
    funder_id = own if funder is None else (await business_by_code(db, funder)).business_id
    await db.execute(
        text("""
          INSERT INTO benefit_campaign (code, benefit_id, quantity, starts_on, ends_on, funder_id,
            reason, created_at, created_by)
          VALUES (:code, :benefit_id, :quantity, :starts_on, :ends_on, :funder_id, :reason, :now,
            :actor) ON CONFLICT (code) DO NOTHING"""),
        {
            "code": code, "benefit_id": benefit_id, "quantity": quantity, "starts_on": starts_on,
            "ends_on": ends_on, "funder_id": funder_id, "reason": reason, "now": now,
            "actor": actor,
        },
    )  # fmt: skip
    found = await campaign_named(db, code=code)
    said: dict[str, object] = {"benefit": benefit_code, "quantity": quantity, "ends_on": ends_on}
    if funder is not None:
        said["funder"] = funder
    for field, value in said.items():
        if getattr(found, field) != value:
            raise Conflict(
                f"campaign {code} grants something else (its {field}: {getattr(found, field)}): "
                "give the new one its own name",
                field=field,
            )
    return found


async def funded(db: AsyncConnection, *, benefit_code: str, now: datetime) -> tuple[int, int]:
    """Return a benefit's number, and who pays for it by its terms in force; raises NotFound."""
    row = (
        await db.execute(
            text("""
              SELECT b.benefit_id, t.funder_id
              FROM benefit b CROSS JOIN LATERAL benefit_terms_at(b.benefit_id, :now) t
              WHERE b.code = :code AND t.benefit_id IS NOT NULL"""),
            {"code": benefit_code, "now": now},
        )
    ).one_or_none()
    if row is None:
        raise NotFound(
            f"there is no benefit {benefit_code!r} with terms in force", field="benefit_code"
        )
    return row.benefit_id, row.funder_id


async def campaign_named(db: AsyncConnection, *, code: str) -> Campaign:
    """Return the campaign of that name; raises NotFound."""
    row = (
        await db.execute(
            text("""
              SELECT c.campaign_id, c.code, b.code AS benefit, c.quantity, c.starts_on, c.ends_on,
                f.code AS funder, c.reason
              FROM benefit_campaign c JOIN benefit b USING (benefit_id)
              JOIN business f ON f.business_id = c.funder_id WHERE c.code = :code"""),
            {"code": code},
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no campaign {code!r}", field="campaign")
    return Campaign(**row._asdict())
