"""Propose: put to people what a matcher cannot decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Triggers leave out what was decided before. Rows go in the order of their keys, so that no two
# callers wait for each other.
_PROPOSE = text("""
INSERT INTO review_item AS r (account_id, reason, candidates, score, evidence, opened_at)
VALUES (:account_id, 'batch_match', ARRAY[CAST(:candidate_id AS bigint)], :score,
  jsonb_build_object(CAST(:candidate_id AS bigint), CAST(:evidence AS jsonb)), :now)
ON CONFLICT (account_id, reason) WHERE state = 'open' DO UPDATE SET
  candidates = array(SELECT DISTINCT unnest(r.candidates || excluded.candidates) ORDER BY 1),
  evidence = coalesce(r.evidence, '{}') || excluded.evidence,
  score = (SELECT max(CAST(e.value ->> 'score' AS double precision))
    FROM jsonb_each(coalesce(r.evidence, '{}') || excluded.evidence) e)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """That an account may be a candidate member's, by `score` bits.

    `evidence` holds no personal data: `weights`, a list of `field`, `level` and `weight` (bits),
    and `vetoes`, a list of words.
    """

    account_id: int
    candidate_id: int
    score: float
    evidence: Mapping[str, Any]


async def propose(db: AsyncConnection, *, proposals: Sequence[Proposal], now: datetime) -> None:
    """Open a review for each proposal, or add it to what is open of the account.

    A proposal that was open before takes the new score. What was rejected, and members who were
    said to be two people, are left out, whichever of the two the account is.
    """
    for one in sorted(proposals, key=lambda one: (one.account_id, one.candidate_id)):
        await db.execute(
            _PROPOSE,
            {
                "account_id": one.account_id,
                "candidate_id": one.candidate_id,
                "score": one.score,
                "evidence": orjson.dumps({**one.evidence, "score": one.score}).decode(),
                "now": now,
            },
        )
