"""Reads of quotas: what members may use, who granted it, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date
from hub.db.relation import Relation


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


# What a tier gives for a period is granted when it is first asked for (`hub.benefits.grant`): until
# then `due` says what will be, so that a card, a quote and a use see the same.
ENTITLEMENTS = Relation(
    """
WITH terms AS (
  SELECT DISTINCT ON (benefit_id) benefit_id, name, name_zh, offered_at, on_loss, tier_id, quota,
    period, ladder_id, rank
  FROM benefit_terms LEFT JOIN tier USING (tier_id)
  WHERE effective_from <= :now ORDER BY benefit_id, effective_from DESC
), due AS (
  SELECT h.member_id, t.benefit_id, p.starts_on, p.ends_on, x.missing
  FROM member_tier h JOIN tier has USING (tier_id)
  JOIN terms t ON t.ladder_id = has.ladder_id AND t.rank <= has.rank AND t.quota > 0
  JOIN member m ON m.member_id = h.member_id
  CROSS JOIN LATERAL benefit_period(t.period, CAST(:today AS date),
    (m.created_at AT TIME ZONE (SELECT time_zone FROM programme))::date) p
  CROSS JOIN LATERAL (
    SELECT t.quota - coalesce(sum(e.granted), 0)::integer AS missing FROM entitlement e
    WHERE e.member_id = h.member_id AND e.benefit_id = t.benefit_id AND e.source = 'tier'
      AND e.starts_on = p.starts_on) x
  WHERE h.member_id = ANY(CAST(:member_ids AS bigint[])) AND h.until IS NULL AND x.missing > 0
), quota AS (
  SELECT e.member_id, e.benefit_id, e.starts_on, e.ends_on, e.granted, e.held, e.used, e.ended,
    e.free, e.source
  FROM entitlement e JOIN terms USING (benefit_id)
  WHERE e.member_id = ANY(CAST(:member_ids AS bigint[]))
    AND :today BETWEEN e.starts_on AND e.ends_on AND e.granted > 0
    AND (e.source <> 'tier' OR terms.on_loss = 'keep_period'
      OR entitlement_tier_held(e.member_id, terms.tier_id))
  UNION ALL
  SELECT member_id, benefit_id, starts_on, ends_on, missing, 0, 0, 0, missing, 'tier' FROM due
)
SELECT e.member_id, b.code AS benefit_code, b.kind, terms.name, terms.name_zh, e.starts_on,
  e.ends_on, sum(e.granted)::integer AS granted, sum(e.held)::integer AS held,
  sum(e.used)::integer AS used, sum(e.ended)::integer AS ended, sum(e.free)::integer AS remaining,
  array_agg(DISTINCT e.source ORDER BY e.source) AS sources, terms.offered_at
FROM quota e JOIN benefit b USING (benefit_id) JOIN terms USING (benefit_id)
GROUP BY e.member_id, terms.rank, b.code, b.kind, terms.name, terms.name_zh, e.starts_on, e.ends_on,
  terms.offered_at
ORDER BY e.member_id, terms.rank NULLS LAST, b.code, e.ends_on, e.starts_on
""",
    tuple(each.name for each in fields(Entitlement)),
)


async def entitlements(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime, time_zone: str
) -> dict[int, list[Entitlement]]:
    """Return what each member may use on the day of `now`, by member id."""
    found: dict[int, list[Entitlement]] = {member_id: [] for member_id in member_ids}
    rows = await db.execute(
        ENTITLEMENTS.statement,
        {
            "member_ids": list(member_ids),
            "now": now,
            "today": business_date(now, time_zone),
        },
    )
    for row in rows:
        found[row.member_id].append(Entitlement(**row._asdict()))
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
