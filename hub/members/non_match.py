"""Two members who are two people: said once, remembered, lifted only by somebody who says so."""

from collections.abc import Sequence
from datetime import datetime
from itertools import combinations, product

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, Rejected
from hub.members.family import Family, family

_SAY = text("""
INSERT INTO non_match (low_member_id, high_member_id, said_at, said_by, reason)
SELECT least(a, b), greatest(a, b), :now, :actor, :reason
FROM unnest(CAST(:some AS bigint[]), CAST(:others AS bigint[])) AS pair (a, b) ORDER BY 1, 2
ON CONFLICT (low_member_id, high_member_id) WHERE lifted_at IS NULL DO NOTHING
""")
_BETWEEN = """
FROM unnest(CAST(:some AS bigint[]), CAST(:others AS bigint[])) AS pair (a, b)
JOIN non_match n ON n.low_member_id = least(a, b) AND n.high_member_id = greatest(a, b)
  AND n.lifted_at IS NULL"""


class OnePerson(Rejected):
    """The two are one member now: they must be split before they can be called two people."""

    code = "one_person"


async def set_apart(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    actor: str,
    now: datetime,
    reason: str = "not the same person",
) -> int:
    """Remember that no two of these members are one person; returns how many pairs are new.

    It is kept of the births named, so that it stands whatever these are merged with. Raises
    NotFound for an id that is nobody's and OnePerson for two that are one member now.
    """
    if len(set(member_ids)) < 2:
        raise Malformed("it takes two members to be apart", field="member_ids")
    pairs = list(combinations(sorted(set(member_ids)), 2))
    found = {born: await family(db, member_id=born) for born in member_ids}
    for a, b in pairs:
        if found[a].member_id == found[b].member_id:
            raise OnePerson(f"{a} and {b} are one member: split it first", member_id=a)
    return await keep_apart(db, pairs=pairs, actor=actor, now=now, reason=reason)


async def keep_apart(
    db: AsyncConnection,
    *,
    pairs: Sequence[tuple[int, int]],
    actor: str,
    now: datetime,
    reason: str,
) -> int:
    """Store that these pairs of births are two people each; returns how many pairs are new."""
    said = await db.execute(_SAY, {**_columns(pairs), "actor": actor, "now": now, "reason": reason})
    return said.rowcount


async def are_apart(db: AsyncConnection, *, member_ids: Sequence[int]) -> bool:
    """Whether it was said of any two of these members, as they stand now, that they are two."""
    families = [await family(db, member_id=member_id) for member_id in dict.fromkeys(member_ids)]
    return bool(await standing_between(db, families=families))


async def standing_between(
    db: AsyncConnection, *, families: Sequence[Family]
) -> list[tuple[int, int]]:
    """Return the pairs of births of different members among these that were said to be two."""
    rows = await db.execute(
        text(f"SELECT n.low_member_id, n.high_member_id {_BETWEEN} ORDER BY 1, 2"),
        _columns(_across(families)),
    )
    return [(row.low_member_id, row.high_member_id) for row in rows]


async def lift(
    db: AsyncConnection, *, pairs: Sequence[tuple[int, int]], actor: str, now: datetime
) -> int:
    """End what was said of these pairs of births; returns how many it was said of."""
    ended = await db.execute(
        text(f"""
          UPDATE non_match SET lifted_at = greatest(said_at, :now), lifted_by = :actor
          WHERE non_match_id IN (SELECT n.non_match_id {_BETWEEN})"""),  # noqa: S608
        {**_columns(pairs), "actor": actor, "now": now},
    )
    return ended.rowcount


def _across(families: Sequence[Family]) -> list[tuple[int, int]]:
    return [
        pair
        for one, other in combinations(families, 2)
        if one.member_id != other.member_id
        for pair in product(one.member_ids, other.member_ids)
    ]


def _columns(pairs: Sequence[tuple[int, int]]) -> dict[str, object]:
    return {"some": [a for a, _ in pairs], "others": [b for _, b in pairs]}
