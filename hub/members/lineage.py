"""Lineage: which births a member is, what joins them or once did, and what keeps others apart."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound

_FAMILIES = text("""
SELECT w.asked, f.member_id
FROM unnest(CAST(:asked AS bigint[])) AS w (asked) JOIN member m ON m.member_id = w.asked
JOIN member f ON f.member_id = coalesce(m.merged_into, m.member_id)
  OR f.merged_into = coalesce(m.merged_into, m.member_id)
""")
_BIRTHS = text("""
SELECT m.member_id, m.created_at, array(SELECT l.account_id FROM account_link l
  WHERE l.member_id = m.member_id AND upper_inf(l.valid) ORDER BY l.account_id) AS account_ids
FROM member m WHERE m.member_id = ANY (CAST(:births AS bigint[])) ORDER BY m.member_id
""")
_EDGES = text("""
SELECT low_member_id, high_member_id, method, score, evidence, reason, made_at, made_by, revoked_at,
  revoked_by, revoked_because
FROM member_edge
WHERE low_member_id = ANY (CAST(:births AS bigint[]))
  OR high_member_id = ANY (CAST(:births AS bigint[]))
ORDER BY edge_id
""")
_APART = text("""
SELECT low_member_id, high_member_id, reason, said_at, said_by, lifted_at, lifted_by
FROM non_match
WHERE low_member_id = ANY (CAST(:births AS bigint[]))
  OR high_member_id = ANY (CAST(:births AS bigint[]))
ORDER BY non_match_id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """A member as it was born, with the accounts that are its own."""

    member_id: int
    created_at: datetime
    account_ids: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What makes two births one person, or once did; `score` and `evidence` are a matcher's."""

    low_member_id: int
    high_member_id: int
    method: str
    score: float | None
    evidence: Mapping[str, Any] | None
    reason: str | None
    made_at: datetime
    made_by: str
    revoked_at: datetime | None
    revoked_by: str | None
    revoked_because: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NonMatch:
    """That two births are two people, until somebody lifted it."""

    low_member_id: int
    high_member_id: int
    reason: str
    said_at: datetime
    said_by: str
    lifted_at: datetime | None
    lifted_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a member comes from; what was ended is told too, oldest first."""

    births: list[Birth]
    edges: list[Edge]
    non_matches: list[NonMatch]


async def lineage(db: AsyncConnection, *, member_id: int) -> Lineage:
    """Return the lineage of the member whom an id leads to; raises NotFound."""
    found = await lineages(db, member_ids=[member_id])
    if member_id not in found:
        raise NotFound(f"there is no member {member_id}", field="member_id")
    return found[member_id]


async def lineages(db: AsyncConnection, *, member_ids: Sequence[int]) -> Mapping[int, Lineage]:
    """Return the lineages of the members whom ids lead to; none for an id that leads nowhere."""
    families: defaultdict[int, set[int]] = defaultdict(set)
    for asked, member_id in await db.execute(_FAMILIES, {"asked": list(member_ids)}):
        families[asked].add(member_id)
    births = {"births": sorted(set().union(*families.values()))}
    born = [Birth(**row._asdict()) for row in await db.execute(_BIRTHS, births)]
    edges = [Edge(**row._asdict()) for row in await db.execute(_EDGES, births)]
    apart = [NonMatch(**row._asdict()) for row in await db.execute(_APART, births)]
    return {
        asked: Lineage(
            births=[one for one in born if one.member_id in family],
            edges=[one for one in edges if _touches(one, family)],
            non_matches=[one for one in apart if _touches(one, family)],
        )
        for asked, family in families.items()
    }


def _touches(one: Edge | NonMatch, family: Collection[int]) -> bool:
    return one.low_member_id in family or one.high_member_id in family
