"""Unlink members: revoke the edges between births, so that each side is a member of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.members.family import Family, lock_family
from hub.members.link_members import MemberErased, redirect
from hub.members.non_match import keep_apart
from hub.members.partition import partition

_EDGES = text("""
SELECT edge_id, low_member_id, high_member_id, made_at FROM member_edge
WHERE revoked_at IS NULL AND low_member_id = ANY (CAST(:births AS bigint[]))
ORDER BY edge_id
""")
_REVOKE = text("""
UPDATE member_edge SET revoked_at = greatest(made_at, :now), revoked_by = :actor,
  revoked_because = :reason
WHERE edge_id = ANY (CAST(:edges AS bigint[]))
""")


class CannotSplit(Rejected):
    """The accounts named are not some of the member's births, with others that stay."""

    code = "cannot_split"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A member after a split: its births, lowest first, and their accounts."""

    member_id: int
    member_ids: tuple[int, ...]
    account_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlinked:
    """A member taken apart. The first of `sides` keeps its id; the others are members again."""

    member_id: int
    births: Mapping[int, int]
    """Of each birth, whom it now is."""
    since: datetime
    """When the first of the edges that were revoked had been made."""
    sides: tuple[Side, ...]
    edge_ids: tuple[int, ...]
    """The edges that were revoked, the latest first."""


async def unlink_members(
    db: AsyncConnection,
    *,
    member_id: int,
    account_ids: Sequence[int],
    actor: str,
    now: datetime,
    reason: str,
) -> Unlinked:
    """Lock the member and let the births behind these accounts leave it.

    What a birth is cannot be divided: its other accounts leave with it. The edges between those who
    leave and those who stay are revoked, and it is remembered that they are two people. Who is one
    member then follows from the edges that stand. Raises NotFound, MemberErased, CannotSplit for
    accounts that are not the member's and when nobody would leave or nobody stay, and Unavailable
    when the member changes at this moment.
    """
    found = await lock_family(db, member_id=member_id)
    if found.erased_at is not None:
        raise MemberErased(f"member {found.member_id} was erased", member_id=found.member_id)
    leaving = _leaving(found, account_ids)
    staying = set(found.member_ids) - leaving
    edges = (await db.execute(_EDGES, {"births": list(found.member_ids)})).all()
    revoked = [e for e in edges if (e.low_member_id in leaving) != (e.high_member_id in leaving)]
    if not revoked:
        raise CannotSplit("no edge joins those who leave to those who stay")
    gone = {edge.edge_id for edge in revoked}
    facts = {"edges": sorted(gone), "now": now, "actor": actor, "reason": reason}
    await db.execute(_REVOKE, facts)
    whom = partition(
        found.member_ids,
        [(e.low_member_id, e.high_member_id) for e in edges if e.edge_id not in gone],
    )
    await redirect(db, whom=whom)
    pairs = list(product(sorted(leaving), sorted(staying)))
    await keep_apart(db, pairs=pairs, actor=actor, now=now, reason=reason)
    return Unlinked(
        member_id=found.member_id,
        births=whom,
        since=min(edge.made_at for edge in revoked),
        sides=tuple(_side(found, whom, member_id) for member_id in sorted(set(whom.values()))),
        edge_ids=tuple(sorted(gone, reverse=True)),
    )


def _leaving(found: Family, account_ids: Sequence[int]) -> set[int]:
    born = {account.account_id: account.born_id for account in found.accounts}
    unknown = [account_id for account_id in account_ids if account_id not in born]
    if unknown:
        raise CannotSplit(f"account {unknown[0]} is not one of member {found.member_id}'s")
    leaving = {born[account_id] for account_id in account_ids}
    if not leaving:
        raise CannotSplit("a split needs accounts that leave")
    if len(leaving) == len(found.member_ids):
        raise CannotSplit("no birth would stay: these accounts are all, or were born together")
    return leaving


def _side(found: Family, whom: dict[int, int], member_id: int) -> Side:
    births = tuple(sorted(born_id for born_id, now_is in whom.items() if now_is == member_id))
    accounts = tuple(a.account_id for a in found.accounts if whom[a.born_id] == member_id)
    return Side(member_id=member_id, member_ids=births, account_ids=accounts)
