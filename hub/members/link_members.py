"""Link members: revocable edges between births make one member of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, Rejected
from hub.members.family import Family, lock_families
from hub.members.non_match import lift, standing_between

_EDGES = text("""
INSERT INTO member_edge (low_member_id, high_member_id, method, score, evidence, reason, made_at,
  made_by)
SELECT :low, high, :method, :score, CAST(:evidence AS jsonb), :reason, :now, :actor
FROM unnest(CAST(:highs AS bigint[])) AS high
RETURNING edge_id
""")


class SameMember(Rejected):
    """A member cannot be merged with itself, nor with what it is already merged with."""

    code = "same_member"


class MemberErased(Rejected):
    """An erased member is nobody: it can be neither merged nor split."""

    code = "member_erased"


class SetApart(Rejected):
    """Somebody said that these are two people."""

    code = "set_apart"


class SecondAccount(Rejected):
    """The merged member would have two accounts at one business."""

    code = "second_account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """Members made one. `absorbed` are those that now lead to `member_id`, each with its edge."""

    member_id: int
    absorbed: Mapping[int, int]
    families: Mapping[int, Family]
    """The members as they stood, by their ids."""


async def link_members(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    method: str,
    actor: str,
    now: datetime,
    reason: str | None = None,
    score: float | None = None,
    evidence: Mapping[str, Any] | None = None,
    despite_non_match: bool = False,
    second_account: bool = True,
) -> Linked:
    """Lock the members and make them one, whose id is the lowest of all births in it.

    The edges join the births that are named; the others come along. `despite_non_match` lifts what
    was said of them. Raises NotFound, SameMember, MemberErased, SetApart, SecondAccount unless that
    is allowed, and Unavailable when one of them changes at this moment.
    """
    if len(member_ids) < 2:
        raise Malformed("it takes two members to merge", field="member_ids")
    if len(set(member_ids)) < len(member_ids):
        raise SameMember("a member cannot be merged with itself")
    found = await lock_families(db, member_ids=member_ids)
    _check(found, second_account)
    apart = await standing_between(db, families=found)
    if apart and not despite_non_match:
        raise SetApart(f"members {apart[0][0]} and {apart[0][1]} were said to be two people")
    if apart:
        await lift(db, pairs=apart, actor=actor, now=now)
    low, *highs = sorted(member_ids)
    edges = await db.execute(
        _EDGES,
        {
            "low": low,
            "highs": highs,
            "method": method,
            "score": score,
            "evidence": None if evidence is None else orjson.dumps(evidence).decode(),
            "reason": reason,
            "now": now,
            "actor": actor,
        },
    )
    survivor, *absorbed = sorted(one.member_id for one in found)
    await redirect(db, whom={born: survivor for one in found for born in one.member_ids})
    return Linked(
        member_id=survivor,
        absorbed=dict(zip(absorbed, sorted(edges.scalars()), strict=True)),
        families={one.member_id: one for one in found},
    )


async def redirect(db: AsyncConnection, *, whom: Mapping[int, int]) -> None:
    """Say of each birth which member it now is."""
    await db.execute(
        text("""
          UPDATE member m SET status = CASE WHEN whom = born THEN 'active' ELSE 'merged' END,
            merged_into = nullif(whom, born)
          FROM unnest(CAST(:births AS bigint[]), CAST(:whom AS bigint[])) AS u (born, whom)
          WHERE m.member_id = born AND m.merged_into IS DISTINCT FROM nullif(whom, born)"""),
        {"births": list(whom), "whom": list(whom.values())},
    )


def _check(found: Sequence[Family], second_account: bool) -> None:
    for one in found:
        if one.erased_at is not None:
            raise MemberErased(f"member {one.member_id} was erased", member_id=one.member_id)
    for one, other in combinations(found, 2):
        if one.member_id == other.member_id:
            raise SameMember(f"they are one member already: {one.member_id}")
        if not second_account and (both := _businesses(one) & _businesses(other)):
            raise SecondAccount(
                f"members {one.member_id} and {other.member_id} both have accounts at business "
                f"{min(both)}"
            )


def _businesses(one: Family) -> set[int]:
    return {account.business_id for account in one.accounts if not account.walk_in}
