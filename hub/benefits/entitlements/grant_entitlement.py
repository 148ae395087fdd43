"""Grant an entitlement: a quota of a benefit that a plan, a voucher, a campaign or staff give."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.requests import MOST_QUANTITY
from hub.benefits.entitlements.taking import find_benefit
from hub.errors import Conflict, Malformed

Source = Literal["plan", "voucher", "campaign", "staff", "business", "occasion", "reward"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What was granted: now, or by the first request of that source."""

    entitlement_id: int
    member_id: int
    benefit_code: str
    quantity: int
    starts_on: date
    ends_on: date
    replayed: bool


async def grant_entitlement(
    db: AsyncConnection,
    *,
    member_id: int,
    benefit_code: str,
    quantity: int,
    source: Source,
    source_id: str,
    starts_on: date,
    ends_on: date,
    now: datetime,
    reason: str | None = None,
    actor: str | None = None,
) -> Granted:
    """Grant `quantity` uses from `starts_on` to `ends_on`, both inclusive, once per source.

    It adds to whatever other sources grant. `(source, source_id)` is the key: the same again
    grants nothing, another request under it raises Conflict naming the field. Raises NotFound for
    an unknown member or benefit, Malformed for a quantity, a key or days that make no sense.
    """
    _check(quantity, source_id, starts_on, ends_on)
    benefit_id = await find_benefit(db, member_id=member_id, benefit_code=benefit_code, now=now)
    facts = {"source": source, "source_id": source_id}
    opened = await db.scalar(
        text("""
          INSERT INTO entitlement (member_id, birth_member_id, benefit_id, source, source_id,
            starts_on, ends_on)
          VALUES (:member_id, :member_id, :benefit_id, :source, :source_id, :starts_on, :ends_on)
          ON CONFLICT (source, source_id) DO NOTHING RETURNING entitlement_id"""),
        {
            **facts,
            "member_id": member_id,
            "benefit_id": benefit_id,
            "starts_on": starts_on,
            "ends_on": ends_on,
        },
    )
    if opened is not None:
        await db.execute(
            text("""
              INSERT INTO entitlement_entry (entitlement_id, kind, quantity, reason, actor,
                occurred_at)
              VALUES (:id, 'granted', :quantity, :reason, :actor, :now)"""),
            {"id": opened, "quantity": quantity, "reason": reason, "actor": actor, "now": now},
        )
    stored = (
        await db.execute(
            text("""
              SELECT e.entitlement_id, e.starts_on, b.code AS benefit_code, n.quantity, e.ends_on,
                CASE WHEN :member_id IN (e.member_id, e.birth_member_id) THEN :member_id
                  ELSE e.member_id END AS member_id
              FROM entitlement e JOIN benefit b USING (benefit_id)
              JOIN LATERAL (SELECT quantity FROM entitlement_entry n
                WHERE n.entitlement_id = e.entitlement_id ORDER BY entry_id LIMIT 1) n ON true
              WHERE e.source = :source AND e.source_id = :source_id"""),
            {**facts, "member_id": member_id},
        )
    ).one()
    asked = (member_id, benefit_code, quantity, starts_on)
    fields = ("member_id", "benefit_code", "quantity", "starts_on")
    for field, value in zip(fields, asked, strict=True):
        if getattr(stored, field) != value:
            raise Conflict(
                f"{source} {source_id} has granted something else (its {field}: "
                f"{getattr(stored, field)}): grant this under a number of its own",
                field=field,
            )
    return Granted(**stored._asdict(), replayed=opened is None)


def _check(quantity: int, source_id: str, starts_on: date, ends_on: date) -> None:
    if not 1 <= quantity <= MOST_QUANTITY:
        raise Malformed(f"quantity is from 1 to {MOST_QUANTITY}", field="quantity")
    if not 1 <= len(source_id) <= 200 or not source_id.isprintable():
        raise Malformed("source_id has 1 to 200 printable characters", field="source_id")
    if ends_on < starts_on:
        raise Malformed("what is granted ends before it starts", field="ends_on")
