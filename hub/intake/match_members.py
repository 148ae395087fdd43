"""Match members: take the steps that a batch match decided on, in the whole hub."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound, Rejected
from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from hub.members.give_birth import give_birth
from hub.members.non_match import lift
from hub.members.review.propose import Proposal, propose

ACTOR = "batch"
CHUNK_REVIEWS = 50
"""So few that whoever is seen meanwhile, and is locked, waits for moments only."""

_NEXT = text("""
SELECT step, kind, account_ids, score, evidence FROM match_step
WHERE run_id = :run_id AND done_at IS NULL ORDER BY step LIMIT :limit
""")
_DONE = text("""
UPDATE match_step s SET done_at = :now, outcome = d.outcome
FROM unnest(CAST(:steps AS integer[]), CAST(:outcomes AS text[])) AS d (step, outcome)
WHERE s.run_id = :run_id AND s.step = d.step
""")
# Of an account that is erased nobody decides any more.
_BIRTHS = text("""
SELECT l.account_id, l.member_id AS born_id, coalesce(m.merged_into, m.member_id) AS member_id
FROM account_link l
JOIN member m ON m.member_id = l.member_id AND m.erased_at IS NULL
JOIN account_key k ON k.account_id = l.account_id
WHERE l.account_id = ANY (CAST(:accounts AS bigint[])) AND upper_inf(l.valid)
""")
# What real time put to review of the same two members already waits, or was decided.
_DOUBTED = text("""
SELECT EXISTS (
  SELECT 1 FROM review_item r
  WHERE (r.account_id = :account_id AND :candidate = ANY (r.candidates)
      OR r.account_id = :other_id AND :own = ANY (r.candidates))
    AND r.reason <> 'batch_match' AND r.state IN ('open', 'rejected', 'not_same'))
""")


@dataclass(frozen=True, slots=True)
class _Step:
    step: int
    kind: str
    account_ids: list[int]
    score: float | None
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Account:
    born_id: int
    member_id: int


async def match_members(db: AsyncConnection, *, run_id: int, now: datetime) -> int:
    """Take the next steps of a run; returns how many, 0 when there is none left.

    One split or merge, since each locks people and their balances, or some reviews. Whoever else
    takes steps waits. What the hub refuses (a member in a pool, one who was erased, two who were
    said to be two people) is noted on the step, with the code, and nothing else is done; what has
    become so by itself is moot.
    """
    await db.execute(
        text("SELECT 1 FROM match_run WHERE run_id = :run_id FOR UPDATE"), {"run_id": run_id}
    )
    steps = await _next(db, run_id, limit=1)
    if not steps:
        await _finish(db, run_id, now)
        return 0
    if steps[0].kind == "review":
        steps = await _next(db, run_id, limit=CHUNK_REVIEWS)
        outcomes = await _review(db, steps, now)
    else:
        outcomes = [await _take(db, steps[0], run_id, now)]
    await db.execute(
        _DONE,
        {
            "run_id": run_id,
            "steps": [step.step for step in steps],
            "outcomes": outcomes,
            "now": now,
        },
    )
    return len(steps)


async def _next(db: AsyncConnection, run_id: int, *, limit: int) -> list[_Step]:
    rows = await db.execute(_NEXT, {"run_id": run_id, "limit": limit})
    return [_Step(*row) for row in rows]


async def _finish(db: AsyncConnection, run_id: int, now: datetime) -> None:
    await db.execute(
        text("""
          UPDATE match_run r SET finished_at = greatest(started_at, CAST(:now AS timestamptz)),
            merged = s.merged, split = s.split, asked = s.asked
          FROM (SELECT count(*) FILTER (WHERE kind = 'merge') AS merged,
              count(*) FILTER (WHERE kind = 'split') AS split,
              count(*) FILTER (WHERE kind = 'review') AS asked
            FROM match_step WHERE run_id = :run_id AND outcome = 'done') s
          WHERE run_id = :run_id AND finished_at IS NULL"""),
        {"run_id": run_id, "now": now},
    )


async def _take(db: AsyncConnection, step: _Step, run_id: int, now: datetime) -> str:
    known = await _known(db, step)
    if known is None:
        return "moot"
    try:
        async with db.begin_nested():
            if step.kind == "merge":
                return await _merge(db, step, known, run_id, now)
            return await _split(db, step, known, run_id, now)
    except (Rejected, NotFound) as refusal:
        return refusal.code


async def _known(db: AsyncConnection, step: _Step) -> dict[int, _Account] | None:
    """Return whose the accounts of a step are; None where one of them is nobody's any more."""
    rows = await db.execute(_BIRTHS, {"accounts": step.account_ids})
    known = {row.account_id: _Account(row.born_id, row.member_id) for row in rows}
    return known if all(account_id in known for account_id in step.account_ids) else None


async def _merge(
    db: AsyncConnection, step: _Step, known: dict[int, _Account], run_id: int, now: datetime
) -> str:
    one, other = (known[account_id] for account_id in step.account_ids)
    if one.member_id == other.member_id:
        return "moot"
    await merge_members(
        db,
        member_ids=[one.born_id, other.born_id],
        method="batch",
        actor=ACTOR,
        now=now,
        reason=f"match run {run_id}",
        score=step.score,
        evidence=step.evidence,
    )
    return "done"


async def _split(
    db: AsyncConnection, step: _Step, known: dict[int, _Account], run_id: int, now: datetime
) -> str:
    """Take a merge, or a link of real time's, back that does not hold.

    Nobody said that they are two people: it may come again.
    """
    *leaving, staying = step.account_ids
    member_id = known[staying].member_id
    leaving = [account_id for account_id in leaving if known[account_id].member_id == member_id]
    if not leaving:
        return "moot"
    facts: dict[str, Any] = {
        "member_id": member_id,
        "account_ids": leaving,
        "actor": ACTOR,
        "now": now,
        "reason": f"match run {run_id}: it no longer holds",
    }
    await give_birth(db, **facts)
    split = await split_members(db, **facts)
    births = {born_id: side.member_id for side in split.sides for born_id in side.member_ids}
    pairs = [
        (low, high)
        for low in births
        for high in births
        if low < high and births[low] != births[high]
    ]
    await lift(db, pairs=pairs, actor=ACTOR, now=now)
    return "done"


async def _review(db: AsyncConnection, steps: list[_Step], now: datetime) -> list[str]:
    """Put what is asked to somebody, all at once: each proposal locks people."""
    found = [await _proposal(db, step) for step in steps]
    await propose(db, proposals=[one for one in found if one is not None], now=now)
    return ["moot" if one is None else "done" for one in found]


async def _proposal(db: AsyncConnection, step: _Step) -> Proposal | None:
    """Ask whether the younger account is the older one's member."""
    known = await _known(db, step)
    if known is None:
        return None
    older, younger = sorted(step.account_ids)
    candidate, own = known[older].member_id, known[younger].member_id
    facts = {"account_id": younger, "other_id": older, "candidate": candidate, "own": own}
    if await db.scalar(_DOUBTED, facts):
        return None
    return Proposal(
        account_id=younger,
        candidate_id=candidate,
        score=step.score or 0.0,
        evidence=step.evidence,
    )
