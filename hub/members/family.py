"""A member as it stands: all births that are one person now, and their accounts."""

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
SELECT a.account_id, a.business_id, a.external_id, a.walk_in, l.member_id AS born_id
FROM account_link l JOIN account a USING (account_id)
WHERE upper_inf(l.valid) AND l.member_id IN ({_FAMILY}) ORDER BY a.account_id
""")  # noqa: S608 - constants of ours
_CLAIMS = text("""
SELECT kind, blind_index FROM identifier_claim
WHERE closed_at IS NULL AND verified AND member_id = ANY (CAST(:members AS bigint[]))
""")


@dataclass(frozen=True, slots=True)
class FamilyAccount:
    """An account of a member or of one merged into it."""

    account_id: int
    business_id: int
    external_id: str
    walk_in: bool
    born_id: int


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
    [found] = await lock_families(db, member_ids=[member_id])
    return found


async def lock_families(db: AsyncConnection, *, member_ids: Sequence[int]) -> list[Family]:
    """Lock several members as `lock_family` does, in the order that all take; one for each id.

    Raises NotFound, and Unavailable when one of them changed meanwhile: ask again.
    """
    before = [await family(db, member_id=member_id) for member_id in member_ids]
    births = sorted({born_id for one in before for born_id in one.member_ids})
    claims = (await db.execute(_CLAIMS, {"members": births})).all()
    await lock_people(
        db,
        accounts={(a.business_id, a.external_id) for one in before for a in one.accounts},
        identifiers={(row.kind, bytes(row.blind_index)) for row in claims},
    )
    await lock_rows(db, member_ids=births)
    now = [await family(db, member_id=member_id) for member_id in member_ids]
    if [(one.member_ids, one.accounts) for one in now] != [
        (one.member_ids, one.accounts) for one in before
    ]:
        raise Unavailable("somebody was linked to this member at this moment: ask again")
    return now


async def lock_rows(db: AsyncConnection, *, member_ids: Sequence[int]) -> None:
    """Lock members' rows alone, in the order that all take.

    Whoever merges members, splits them or sets them apart holds these of each of them.
    """
    await db.execute(
        text("""
          SELECT 1 FROM member WHERE member_id = ANY (CAST(:members AS bigint[]))
          ORDER BY member_id FOR NO KEY UPDATE"""),
        {"members": list(member_ids)},
    )
