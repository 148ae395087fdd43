"""Lineage: which births a member is, what joins them or once did, and what keeps others apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.family import family

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
    births = {"births": list((await family(db, member_id=member_id)).member_ids)}
    return Lineage(
        births=[Birth(**row._asdict()) for row in await db.execute(_BIRTHS, births)],
        edges=[Edge(**row._asdict()) for row in await db.execute(_EDGES, births)],
        non_matches=[NonMatch(**row._asdict()) for row in await db.execute(_APART, births)],
    )
