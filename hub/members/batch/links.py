"""Who stands together when a match begins, and what staff decided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_LINKS = """
SELECT l.account_id, l.member_id AS born_id, coalesce(m.merged_into, m.member_id) AS member_id
FROM account_link l JOIN member m ON m.member_id = l.member_id
WHERE upper_inf(l.valid)"""
_ALL = text(_LINKS)
_THESE = text(_LINKS + " AND l.account_id = ANY (CAST(:accounts AS bigint[]))")

# Accounts that stand or may stand with some others: of one member, or automatic by themselves.
_NEAR = text("""
SELECT o.account_id
FROM account_link l JOIN member m ON m.member_id = l.member_id
JOIN member f ON f.member_id = coalesce(m.merged_into, m.member_id)
  OR f.merged_into = coalesce(m.merged_into, m.member_id)
JOIN account_link o ON o.member_id = f.member_id AND upper_inf(o.valid)
WHERE l.account_id = ANY (CAST(:accounts AS bigint[])) AND upper_inf(l.valid)
UNION
SELECT high_account_id FROM match_pair
WHERE low_account_id = ANY (CAST(:accounts AS bigint[])) AND band = 'automatic'
UNION
SELECT low_account_id FROM match_pair
WHERE high_account_id = ANY (CAST(:accounts AS bigint[])) AND band = 'automatic'
""")


@dataclass(slots=True)
class Links:
    """To which member accounts were born, which it now is, and what staff said of births."""

    born: dict[int, int] = field(default_factory=dict)
    member: dict[int, int] = field(default_factory=dict)
    one_person: dict[int, list[int]] = field(default_factory=dict)
    """Births that staff made one person: by the lower one the higher ones."""
    kept: set[int] = field(default_factory=set)
    """Accounts of whose links staff said that they are right."""
    apart: set[tuple[int, int]] = field(default_factory=set)
    """Births that are two people, the lower one first."""

    def are_apart(self, one: int, other: int) -> bool:
        """Whether two accounts' births were said to be two people."""
        a, b = self.born.get(one, 0), self.born.get(other, 0)
        return (min(a, b), max(a, b)) in self.apart

    def one_person_among(self, births: Mapping[int, object]) -> list[tuple[int, int]]:
        """Return those of the births that staff made one person, in pairs."""
        return [
            (low, high) for low in births for high in self.one_person.get(low, ()) if high in births
        ]


async def read_links(db: AsyncConnection, *, account_ids: Iterable[int] | None) -> Links:
    """Read the links of these accounts (None: all), and all that staff decided."""
    links = Links()
    if account_ids is None:
        rows = await db.execute(_ALL)
    else:
        rows = await db.execute(_THESE, {"accounts": list(account_ids)})
    for account_id, born_id, member_id in rows:
        links.born[account_id] = born_id
        links.member[account_id] = member_id
    staff = await db.execute(
        text("""
          SELECT low_member_id, high_member_id FROM member_edge
          WHERE revoked_at IS NULL AND method = 'staff'""")
    )
    for row in staff:
        links.one_person.setdefault(row.low_member_id, []).append(row.high_member_id)
    kept = await db.scalars(
        text("""
          SELECT account_id FROM review_item
          WHERE state = 'accepted' AND decision = 'link_kept'""")
    )
    links.kept = set(kept.all())
    said = await db.execute(
        text("SELECT low_member_id, high_member_id FROM non_match WHERE lifted_at IS NULL")
    )
    links.apart = {(row.low_member_id, row.high_member_id) for row in said}
    return links


async def company(db: AsyncConnection, *, account_ids: Iterable[int]) -> set[int]:
    """Return these accounts and all that a decision on them could concern."""
    found: set[int] = set()
    fresh = set(account_ids)
    while fresh:
        found |= fresh
        near = await db.scalars(_NEAR, {"accounts": sorted(fresh)})
        fresh = set(near.all()) - found
    return found
