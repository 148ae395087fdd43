"""Review items: locked by whoever decides, written once it is decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound, Rejected

LONGEST_NOTE = 500
_LOCKS = 21
"""The space of the locks that decisions take, apart from those of people."""

COLUMNS = """review_id, account_id, account_holder(account_id) AS member_id, reason, state,
  candidates, review_doubts(account_id, candidates, link_doubted) AS doubted, link_doubted, chosen,
  score, evidence, opened_at, decided_at, decided_by, decision, note, assigned_to, undone_at"""

_DECIDE = text(f"""
UPDATE review_item SET state = :state, decision = :decision, chosen = :chosen, note = :note,
  decided_at = :now, decided_by = :actor, undone_at = NULL
WHERE review_id = :review_id RETURNING {COLUMNS}
""")  # noqa: S608 - a constant of ours
_STEP = text("""
INSERT INTO review_step (review_id, done_at, done, done_by, note, effects)
VALUES (:review_id, :now, :done, :actor, :note, CAST(:effects AS jsonb))
""")


class ReviewDecided(Rejected):
    """Somebody decided it otherwise before, or it was settled by what happened elsewhere."""

    code = "review_decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewItem:
    """A doubt: is `account_id`, which is `member_id`'s now, one of the candidates'?

    `candidates` are as they were when it was met; `doubted` those left to decide on, as they are
    now, lowest first. `evidence` is by candidate.
    """

    review_id: int
    account_id: int
    member_id: int
    reason: str
    state: str
    candidates: Sequence[int]
    doubted: Sequence[int]
    link_doubted: bool
    chosen: int | None
    score: float | None
    evidence: Mapping[str, Any] | None
    opened_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    decision: str | None
    note: str | None
    assigned_to: str | None
    undone_at: datetime | None

    @property
    def doubts_own_link(self) -> bool:
        """Whether it is in doubt that the account is its own member's."""
        return self.member_id in self.doubted


async def lock_review(db: AsyncConnection, *, review_id: int) -> ReviewItem:
    """Let nobody else decide on a review until the transaction ends; raises NotFound.

    It is the first lock that a decision takes. The row itself is locked when it is written, after
    people: a sighting that adds a candidate holds people's locks.
    """
    await db.execute(
        text("SELECT pg_advisory_xact_lock(:space, CAST(:review_id % 2147483647 AS integer))"),
        {"space": _LOCKS, "review_id": review_id},
    )
    return await read_review(db, review_id=review_id)


async def read_review(db: AsyncConnection, *, review_id: int) -> ReviewItem:
    """Return a review as it stands; raises NotFound."""
    row = await db.execute(
        text(f"SELECT {COLUMNS} FROM review_item WHERE review_id = :review_id"),  # noqa: S608
        {"review_id": review_id},
    )
    found = row.one_or_none()
    if found is None:
        raise NotFound(f"there is no review {review_id}", field="review_id")
    return ReviewItem(**found._asdict())


def undecided(item: ReviewItem) -> ReviewItem:
    """Return an open review; raises ReviewDecided."""
    if item.state != "open":
        raise ReviewDecided(
            f"it is {item.state} already, by {item.decided_by}", review_id=item.review_id
        )
    if not item.doubted:
        raise ReviewDecided("what it asks was settled elsewhere", review_id=item.review_id)
    return item


async def decide(
    db: AsyncConnection,
    *,
    item: ReviewItem,
    state: str,
    decision: str,
    actor: str,
    now: datetime,
    note: str | None,
    chosen: int | None = None,
    effects: Mapping[str, Any] | None = None,
) -> ReviewItem:
    """Write a decision that was carried out; `effects` are the numbers that undoing it needs.

    Raises NotFound for a review that went with an erased person at this moment.
    """
    facts = {"review_id": item.review_id, "actor": actor, "now": now, "note": note}
    row = await db.execute(
        _DECIDE, {**facts, "state": state, "decision": decision, "chosen": chosen}
    )
    decided = row.one_or_none()
    if decided is None:
        raise NotFound(f"there is no review {item.review_id}", field="review_id")
    await step(db, review_id=item.review_id, done=state, actor=actor, now=now, note=note,
               effects=effects)  # fmt: skip
    return ReviewItem(**decided._asdict())


async def step(
    db: AsyncConnection,
    *,
    review_id: int,
    done: str,
    actor: str,
    now: datetime,
    note: str | None = None,
    effects: Mapping[str, Any] | None = None,
) -> None:
    """Add to the history of a review."""
    await db.execute(
        _STEP,
        {
            "review_id": review_id,
            "done": done,
            "actor": actor,
            "now": now,
            "note": note,
            "effects": None if effects is None else orjson.dumps(effects).decode(),
        },
    )
