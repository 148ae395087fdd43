"""Consent: what members said to each legal entity, and what may therefore be done with their data.

The businesses of a group are third parties to each other: personal data goes from one legal entity
to another only for a purpose that the person agreed to separately, for that recipient (PIPL,
articles 14, 15 and 23; so do GDPR articles 6 and 7). What is needed to run the membership that the
person asked for (points, tiers, notices of points that end) needs no consent.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.relation import Relation
from hub.errors import Conflict, Malformed, NotFound

LONGEST_WORDS = 200
FASTEST_CLOCK = timedelta(minutes=5)


class Purpose(StrEnum):
    """What data is used for. To serve the membership needs no consent; everything else does."""

    SERVICE = "service"
    SHARING = "sharing"
    MARKETING = "marketing"
    PROFILING = "profiling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a member last said of a purpose to a legal entity, and by which words."""

    member_id: int
    legal_entity_id: int
    legal_entity: str
    purpose: Purpose
    given: bool
    said_at: datetime
    source: str
    text_version: str
    recorded_by: str


_FAMILY = """
  SELECT w.member_id AS wanted, f.member_id
  FROM unnest(CAST(:member_ids AS bigint[])) AS w (member_id)
  JOIN member m USING (member_id)
  JOIN LATERAL (
    SELECT coalesce(m.merged_into, m.member_id) AS member_id
    UNION ALL
    SELECT o.member_id FROM member o WHERE o.merged_into = coalesce(m.merged_into, m.member_id)
  ) f ON true"""

_SAY = text("""
INSERT INTO consent (member_id, legal_entity_id, purpose, given, source, text_version, recorded_by,
  said_at, recorded_at)
VALUES (:member_id, :entity_id, :purpose, :given, :source, :text_version, :recorded_by, :said_at,
  :now)
ON CONFLICT (member_id, legal_entity_id, purpose, said_at) DO NOTHING RETURNING 1
""")

_LATEST = text(f"""
SELECT DISTINCT ON (f.wanted, c.legal_entity_id, c.purpose) f.wanted AS member_id,
  c.legal_entity_id, e.code AS legal_entity, c.purpose, c.given, c.said_at, c.source,
  c.text_version, c.recorded_by
FROM ({_FAMILY}) f JOIN consent c USING (member_id) JOIN legal_entity e USING (legal_entity_id)
ORDER BY f.wanted, c.legal_entity_id, c.purpose, c.said_at DESC, c.given
""")  # noqa: S608 - a constant of ours

MAY = Relation(
    f"""
SELECT wanted FROM (
  SELECT DISTINCT ON (f.wanted) f.wanted, c.given
  FROM ({_FAMILY}) f JOIN consent c USING (member_id)
  WHERE c.legal_entity_id = :entity_id AND c.purpose = :purpose
  ORDER BY f.wanted, c.said_at DESC, c.given
) latest WHERE given
""",  # noqa: S608 - a constant of ours
    ("wanted",),
)


async def say(
    db: AsyncConnection,
    *,
    member_id: int,
    legal_entity_id: int,
    purpose: Purpose,
    given: bool,
    source: str,
    text_version: str,
    recorded_by: str,
    said_at: datetime,
    now: datetime,
) -> bool:
    """Record that a member gave or withdrew a consent; False: it was on record.

    What was said last holds, in whatever order it arrives.
    `source` is where it was said, `text_version` names the words that were put to the member.

    Raises NotFound for an unknown member (an erased one is unknown), Malformed for words that
    cannot be kept, an instant to come or a purpose that needs no consent, and Conflict when the
    opposite was said to the same legal entity at that instant.
    """
    _check(purpose, said_at, now, source=source, text_version=text_version)
    found = await db.scalar(
        text("""
          SELECT coalesce(merged_into, member_id) FROM member
          WHERE member_id = :member_id AND erased_at IS NULL"""),
        {"member_id": member_id},
    )
    if found is None:
        raise NotFound(f"there is no member {member_id}", field="member_id")
    facts = {"member_id": found, "entity_id": legal_entity_id, "purpose": purpose.value}
    spoken = {
        "given": given,
        "source": source,
        "text_version": text_version,
        "recorded_by": recorded_by,
        "said_at": said_at,
        "now": now,
    }
    if await db.scalar(_SAY, {**facts, **spoken}):
        return True
    before = await db.scalar(
        text("""
          SELECT given FROM consent WHERE member_id = :member_id AND purpose = :purpose
            AND legal_entity_id = :entity_id AND said_at = :said_at"""),
        {**facts, "said_at": said_at},
    )
    if before != given:
        raise Conflict("the opposite was said at that same instant", field="given")
    return False


async def may(
    db: AsyncConnection, *, member_ids: Collection[int], legal_entity_id: int, purpose: Purpose
) -> set[int]:
    """Return those members whose data a legal entity may use for a purpose.

    Said by a member or by one merged into it, the latest holds; who said nothing did not agree.
    """
    if purpose is Purpose.SERVICE:
        return set(member_ids)
    facts = {
        "member_ids": list(member_ids),
        "entity_id": legal_entity_id,
        "purpose": purpose.value,
    }
    return set(await db.scalars(MAY.statement, facts))


async def consents(db: AsyncConnection, *, member_ids: Sequence[int]) -> dict[int, list[Consent]]:
    """Return what each member last said, by legal entity and purpose."""
    found: dict[int, list[Consent]] = {member_id: [] for member_id in member_ids}
    for row in await db.execute(_LATEST, {"member_ids": list(member_ids)}):
        facts = {**row._asdict(), "purpose": Purpose(row.purpose)}
        found[row.member_id].append(Consent(**facts))
    return found


def _check(purpose: Purpose, said_at: datetime, now: datetime, **words: str) -> None:
    if purpose is Purpose.SERVICE:
        raise Malformed("what serves the membership needs no consent", field="purpose")
    if said_at.utcoffset() is None:
        raise Malformed("an instant needs a UTC offset", field="said_at")
    if said_at > now + FASTEST_CLOCK:
        raise Malformed("what has not been said yet is not recorded", field="said_at")
    for field, value in words.items():
        if not 1 <= len(value.strip()) <= LONGEST_WORDS or not value.isprintable():
            raise Malformed(f"{field} has 1 to {LONGEST_WORDS} printable characters", field=field)
