"""Reads of quotas: what members may use, who granted it, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.reckon import ENTITLEMENTS
from hub.benefits.reckoned import reckoned


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """What a member may use of a benefit in a period, both days inclusive, by all sources."""

    member_id: int
    benefit_code: str
    kind: str
    name: str
    name_zh: str
    starts_on: date
    ends_on: date
    granted: int
    held: int
    used: int
    ended: int
    remaining: int
    sources: list[str]
    offered_at: list[int]


async def entitlements(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime
) -> dict[int, list[Entitlement]]:
    """Return what each member may use on the day of `now`, by member id."""
    found: dict[int, list[Entitlement]] = {member_id: [] for member_id in member_ids}
    for row in await reckoned(db, ENTITLEMENTS, member_ids=member_ids, now=now):
        one = Entitlement(**dict(zip(ENTITLEMENTS.columns, row, strict=True)))
        found[one.member_id].append(one)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one source granted a member: why a member has a benefit, and what became of it."""

    entitlement_id: int
    member_id: int
    benefit_code: str
    source: str
    source_id: str
    reason: str | None
    starts_on: date
    ends_on: date
    granted: int
    held: int
    used: int
    ended: int
    remaining: int
    offered_at: list[int]


_GRANTS = """
SELECT e.entitlement_id, e.member_id, b.code AS benefit_code, e.source, e.source_id, n.reason,
  e.starts_on, e.ends_on, e.granted, e.held, e.used, e.ended, e.free AS remaining, t.offered_at
FROM entitlement e JOIN benefit b USING (benefit_id)
CROSS JOIN LATERAL benefit_terms_at(e.benefit_id, :now) t
LEFT JOIN LATERAL (SELECT reason FROM entitlement_entry n
  WHERE n.entitlement_id = e.entitlement_id ORDER BY entry_id LIMIT 1) n ON true
WHERE t.benefit_id IS NOT NULL AND """


async def grants(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime
) -> dict[int, list[Grant]]:
    """Return everything ever granted to each member, newest first; at most 200 of each."""
    found: dict[int, list[Grant]] = {member_id: [] for member_id in member_ids}
    rows = await db.execute(
        text(f"""
          SELECT g.* FROM unnest(CAST(:member_ids AS bigint[])) AS a (asked)
          CROSS JOIN LATERAL ({_GRANTS} e.member_id = a.asked
            ORDER BY e.ends_on DESC, e.entitlement_id DESC LIMIT 200) g"""),  # noqa: S608
        {"member_ids": list(member_ids), "now": now},
    )
    for row in rows:
        found[row.member_id].append(Grant(**row._asdict()))
    return found


async def grant_of(db: AsyncConnection, *, entitlement_id: int, now: datetime) -> Grant | None:
    """Return one grant; None when there is none of that number."""
    row = (
        await db.execute(
            text(f"{_GRANTS} e.entitlement_id = :id"), {"id": entitlement_id, "now": now}
        )
    ).first()
    return None if row is None else Grant(**row._asdict())


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """An entry of a quota's ledger, and the till's request behind it, if one was."""

    entry_id: int
    entitlement_id: int
    member_id: int
    benefit_code: str
    kind: str
    quantity: int
    occurred_at: datetime
    reason: str | None
    request_id: int | None
    business_id: int | None
    offered_at: list[int]


async def movements(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime
) -> dict[int, list[Movement]]:
    """Return the last 200 entries of each member's quotas, newest first."""
    found: dict[int, list[Movement]] = {member_id: [] for member_id in member_ids}
    rows = await db.execute(
        text("""
          SELECT g.* FROM unnest(CAST(:member_ids AS bigint[])) AS a (asked)
          CROSS JOIN LATERAL (
            SELECT n.entry_id, n.entitlement_id, e.member_id, b.code AS benefit_code, n.kind,
              n.quantity, n.occurred_at, n.reason, n.request_id, u.business_id, t.offered_at
            FROM entitlement e JOIN entitlement_entry n USING (entitlement_id)
            JOIN benefit b ON b.benefit_id = e.benefit_id
            CROSS JOIN LATERAL benefit_terms_at(e.benefit_id, :now) t
            LEFT JOIN entitlement_use u ON u.use_id = n.request_id
            WHERE e.member_id = a.asked ORDER BY n.entry_id DESC LIMIT 200) g"""),
        {"member_ids": list(member_ids), "now": now},
    )
    for row in rows:
        found[row.member_id].append(Movement(**row._asdict()))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Uses that a till set aside and that nobody has used or released yet."""

    hold_id: int
    member_id: int
    benefit_code: str
    business_id: int
    quantity: int
    remaining: int
    expires_at: datetime


async def holds(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime
) -> dict[int, list[Held]]:
    """Return the open holds of each member, oldest first."""
    found: dict[int, list[Held]] = {member_id: [] for member_id in member_ids}
    rows = await db.execute(
        text("""
          SELECT DISTINCT h.hold_id, e.member_id, b.code AS benefit_code, h.business_id, h.quantity,
            h.quantity - h.captured - h.released AS remaining, h.expires_at
          FROM entitlement e JOIN entitlement_entry n USING (entitlement_id)
          JOIN entitlement_hold h ON h.hold_id = n.reference_id
          JOIN benefit b ON b.benefit_id = e.benefit_id
          WHERE e.member_id = ANY(CAST(:member_ids AS bigint[])) AND e.held > 0
            AND n.kind = 'held' AND h.open AND h.expires_at > :now ORDER BY h.hold_id"""),
        {"member_ids": list(member_ids), "now": now},
    )
    for row in rows:
        found[row.member_id].append(Held(**row._asdict()))
    return found
