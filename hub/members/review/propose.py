"""Propose: put to people what a matcher cannot decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Unavailable
from hub.members.family import lock_rows

_WHOM = text("""
SELECT coalesce(m.merged_into, m.member_id) AS member_id
FROM (
  SELECT account_holder(account_id) AS member_id
  FROM unnest(CAST(:accounts AS bigint[])) AS a (account_id)
  UNION SELECT unnest(CAST(:candidates AS bigint[]))
) named JOIN member m USING (member_id)
GROUP BY 1 ORDER BY 1
""")
# Triggers leave out what was decided before. Rows go in the order of their keys, so that no two
# callers wait for each other.
_PROPOSE = text("""
INSERT INTO review_item AS r (account_id, reason, candidates, score, evidence, opened_at)
SELECT :account_id, 'batch_match', ARRAY[CAST(:candidate_id AS bigint)],
  CAST(:score AS double precision),
  jsonb_build_object(CAST(:candidate_id AS bigint), CAST(:evidence AS jsonb)),
  CAST(:now AS timestamptz)
WHERE NOT EXISTS (
  SELECT 1 FROM member m WHERE m.erased_at IS NOT NULL
    AND m.member_id IN (CAST(:candidate_id AS bigint), account_holder(:account_id)))
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
    said to be two people, are left out, whichever of the two the account is; so is whoever was
    erased. All of them are locked until the transaction ends: call it once per transaction.

    Raises Unavailable when one of them is merged or split at this moment.
    """
    whom = {
        "accounts": [one.account_id for one in proposals],
        "candidates": [one.candidate_id for one in proposals],
    }
    members = (await db.scalars(_WHOM, whom)).all()
    await lock_rows(db, member_ids=members)
    if (await db.scalars(_WHOM, whom)).all() != members:
        raise Unavailable("somebody was merged or split at this moment: ask again")
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
