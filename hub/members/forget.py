"""Forget: destroy what tells who a member is. Its accounts and links stay, and name nobody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound, Unavailable
from hub.members.standing import lock_people

_FAMILY = """
SELECT coalesce(m.merged_into, m.member_id) FROM member m WHERE m.member_id = :member_id
UNION ALL
SELECT f.member_id FROM member m
JOIN member f ON f.merged_into = coalesce(m.merged_into, m.member_id)
WHERE m.member_id = :member_id"""

_ACCOUNTS = text(f"""
SELECT a.account_id, a.business_id, a.external_id, a.walk_in
FROM account_link l JOIN account a USING (account_id)
WHERE upper_inf(l.valid) AND l.member_id IN ({_FAMILY}) ORDER BY a.account_id
""")  # noqa: S608 - constants of ours
_CLAIMS = text(f"""
SELECT kind, blind_index FROM identifier_claim
WHERE closed_at IS NULL AND verified AND member_id IN ({_FAMILY})
""")  # noqa: S608 - constants of ours

# One statement for each table that tells of an account's person. Rows of others are left as they
# are, but for reviews: they no longer name the member as somebody whom an account could be.
_FORGET = tuple(
    map(
        text,
        (
            "DELETE FROM account_key WHERE account_id = ANY (CAST(:accounts AS bigint[]))",
            "DELETE FROM account_profile WHERE account_id = ANY (CAST(:accounts AS bigint[]))",
            "DELETE FROM pin WHERE account_id = ANY (CAST(:accounts AS bigint[]))",
            """DELETE FROM identifier_claim WHERE account_id = ANY (CAST(:accounts AS bigint[]))
                 OR member_id = ANY (CAST(:members AS bigint[]))""",
            "DELETE FROM verification WHERE member_id = ANY (CAST(:members AS bigint[]))",
            """DELETE FROM verification v USING account a
               WHERE a.account_id = ANY (CAST(:accounts AS bigint[]))
                 AND v.business_id = a.business_id AND v.external_id = a.external_id""",
            """DELETE FROM review_item WHERE account_id = ANY (CAST(:accounts AS bigint[]))
                 OR candidates <@ CAST(:members AS bigint[])""",
            """UPDATE review_item SET candidates = array(SELECT c FROM unnest(candidates) AS c
                 WHERE c <> ALL (CAST(:members AS bigint[])))
               WHERE candidates && CAST(:members AS bigint[])""",
            """UPDATE member SET erased_at = :now
               WHERE member_id = ANY (CAST(:members AS bigint[]))""",
        ),
    )
)


@dataclass(frozen=True, slots=True)
class FamilyAccount:
    """An account of a member or of one merged into it."""

    account_id: int
    business_id: int
    external_id: str
    walk_in: bool


@dataclass(frozen=True, slots=True)
class Family:
    """A member as it stands, with all that were merged into it and their accounts.

    `member_id` is the survivor, and the first of `member_ids`.
    """

    member_id: int
    member_ids: tuple[int, ...]
    accounts: tuple[FamilyAccount, ...]
    erased_at: datetime | None

    @property
    def account_ids(self) -> list[int]:
        """The numbers of the accounts."""
        return [account.account_id for account in self.accounts]


async def family(db: AsyncConnection, *, member_id: int) -> Family:
    """Return the member whom an id leads to with all that are merged into it; raises NotFound."""
    rows = await db.execute(
        text(f"""
          SELECT member_id, merged_into, erased_at FROM member WHERE member_id IN ({_FAMILY})
          ORDER BY merged_into NULLS FIRST, member_id"""),  # noqa: S608 - a constant of ours
        {"member_id": member_id},
    )
    members = rows.all()
    if not members:
        raise NotFound(f"there is no member {member_id}", field="member_id")
    accounts = await db.execute(_ACCOUNTS, {"member_id": member_id})
    return Family(
        member_id=members[0].member_id,
        member_ids=tuple(row.member_id for row in members),
        accounts=tuple(FamilyAccount(*row) for row in accounts),
        erased_at=members[0].erased_at,
    )


async def lock_family(db: AsyncConnection, *, member_id: int) -> Family:
    """Lock a member, its accounts and identifiers as `resolve` does, and return it as it then is.

    Raises NotFound, and Unavailable when an account came to the member meanwhile: ask again.
    """
    before = await family(db, member_id=member_id)
    claims = (await db.execute(_CLAIMS, {"member_id": member_id})).all()
    await lock_people(
        db,
        accounts=[(one.business_id, one.external_id) for one in before.accounts],
        identifiers=[(row.kind, bytes(row.blind_index)) for row in claims],
    )
    await db.execute(
        text("""
          SELECT 1 FROM member WHERE member_id = ANY (CAST(:members AS bigint[]))
          ORDER BY member_id FOR NO KEY UPDATE"""),
        {"members": list(before.member_ids)},
    )
    now = await family(db, member_id=member_id)
    if (now.member_ids, now.accounts) != (before.member_ids, before.accounts):
        raise Unavailable("somebody was linked to this member at this moment: ask again")
    return now


async def forget(
    db: AsyncConnection, *, member_ids: Sequence[int], account_ids: Sequence[int], now: datetime
) -> None:
    """Destroy keys, profiles, pins, claims and doubts of members and accounts; lock them first.

    What the keys sealed is unreadable from then on, in backups of the database too. An account
    without a key is known to be erased: resolution records nothing on it.
    """
    facts = {"members": list(member_ids), "accounts": list(account_ids), "now": now}
    for statement in _FORGET:
        wanted = {name: value for name, value in facts.items() if f":{name}" in statement.text}
        await db.execute(statement, wanted)
