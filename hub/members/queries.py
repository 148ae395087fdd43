"""Reads on members: finding one by an identifier, and the accounts a member has."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto import fields
from hub.crypto.errors import KeyringForeign, KeyUnknown, Undecipherable
from hub.crypto.keyring import Keyring
from hub.db.keyset import Column, Keyset, Stretch
from hub.db.relation import Relation
from hub.members.identifiers import Kind, Manner, identify, normaliser

# The statement is the database's: it looks at claims that the caller may not read.
OWNER = Relation(
    """
SELECT member_id FROM person_presented(:kind, CAST(:digests AS bytea[])) AS p (member_id)
WHERE member_id IS NOT NULL
""",
    ("member_id",),
)

ACCOUNTS = Relation(
    """
SELECT w.wanted AS member_id, a.account_id, a.business_id,
  CASE WHEN a.walk_in THEN NULL ELSE a.external_id END AS external_id, a.walk_in, a.created_at
FROM unnest(CAST(:member_ids AS bigint[])) AS w (wanted)
JOIN member m ON m.member_id = w.wanted
JOIN LATERAL (
  SELECT coalesce(m.merged_into, m.member_id) AS born_id
  UNION ALL
  SELECT f.member_id FROM member f WHERE f.merged_into = coalesce(m.merged_into, m.member_id)
) family ON true
JOIN account_link l ON l.member_id = family.born_id AND upper_inf(l.valid)
JOIN account a ON a.account_id = l.account_id
ORDER BY a.account_id
""",
    ("member_id", "account_id", "business_id", "external_id", "walk_in", "created_at"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberAccount:
    """A member's record at one business. Walk-in accounts are the hub's own: no external id."""

    account_id: int
    business_id: int
    external_id: str | None
    walk_in: bool
    created_at: datetime


async def check_keyring(db: AsyncConnection, *, keyring: Keyring) -> None:
    """Raise KeyringForeign unless the keyring is the one that this database was written with.

    For whoever starts the hub: under another keyring every known person would be met as new.
    """
    found = await db.execute(
        text("""
        (SELECT account_id, wrapped FROM account_key ORDER BY account_id LIMIT 1)
        UNION ALL
        (SELECT account_id, wrapped FROM account_key ORDER BY account_id DESC LIMIT 1)
        """)
    )
    for row in found:
        try:
            fields.unwrap(keyring, row.wrapped, account_id=row.account_id)
        except (Undecipherable, KeyUnknown) as bad:
            raise KeyringForeign(
                "this keyring does not open the members in the database: restore the keyring file "
                "that belongs to it from its backup"
            ) from bad


async def find(db: AsyncConnection, *, kind: Kind, value: str, keyring: Keyring) -> int | None:
    """Return the member whom an identifier leads to, for a search by staff; None for nobody.

    The owner of a verified claim comes first; failing that, an unverified identifier leads to a
    member if it points at one only. A merged-away member's identifiers lead to the survivor. A
    phone number without a country code is read as in each of the group's countries.
    """
    digests = await possible_digests(db, kind=kind, value=value, keyring=keyring)
    if not digests:
        return None
    owner: int | None = await db.scalar(OWNER.statement, {"kind": int(kind), "digests": digests})
    return owner


async def verified_owner(db: AsyncConnection, *, kind: int, digests: Sequence[bytes]) -> int | None:
    """Return the member who owns an identifier, proven; None for nobody."""
    owner: int | None = await db.scalar(
        text("""
          SELECT coalesce(m.merged_into, m.member_id)
          FROM identifier_claim c JOIN member m ON m.member_id = c.member_id
          WHERE c.kind = :kind AND c.blind_index = ANY (CAST(:digests AS bytea[]))
            AND c.closed_at IS NULL AND c.verified"""),
        {"kind": int(kind), "digests": list(digests)},
    )
    return owner


async def possible_digests(
    db: AsyncConnection, *, kind: Kind, value: str, keyring: Keyring
) -> list[bytes]:
    """Return the blind indexes of what was typed, as it may be read; none where it is no value.

    A phone number without a country code is read as in each of the group's countries.
    """
    regions: Sequence[str | None] = [None]
    if is_local(kind, value):
        regions = (await db.scalars(text("SELECT DISTINCT country FROM business"))).all()
    return digests_of(kind, value, keyring=keyring, regions=regions)


def is_local(kind: Kind, value: str) -> bool:
    """Return whether it depends on the country what a value says."""
    return kind is Kind.PHONE and not value.lstrip().startswith("+")


def digests_of(
    kind: Kind, value: str, *, keyring: Keyring, regions: Sequence[str | None] = (None,)
) -> list[bytes]:
    """Return the blind indexes of what was typed, as it is read in each of the regions."""
    normal = {normaliser(kind, Manner(region))(value) for region in regions} - {None}
    return [
        digest
        for one in normal
        if one is not None
        for digest in identify(keyring, kind, one).digests
    ]


async def accounts_of(
    db: AsyncConnection, *, member_ids: Sequence[int]
) -> dict[int, list[MemberAccount]]:
    """Return each member's accounts, those of members merged into it included, oldest first.

    A merged-away id yields the survivor's accounts. Unknown ids are left out.
    """
    accounts: dict[int, list[MemberAccount]] = {}
    for row in await db.execute(
        ACCOUNTS.statement, {"member_ids": list(dict.fromkeys(member_ids))}
    ):
        facts = row._asdict()
        accounts.setdefault(facts.pop("member_id"), []).append(MemberAccount(**facts))
    return accounts


async def first_account(db: AsyncConnection, *, member_id: int) -> tuple[int, str] | None:
    """Return business and external id of the member's oldest account that was not erased."""
    row = (
        await db.execute(
            text("""
              SELECT a.business_id, a.external_id
              FROM member m
              JOIN account_link l ON l.member_id = m.member_id AND upper_inf(l.valid)
              JOIN account a ON a.account_id = l.account_id
              JOIN account_key k ON k.account_id = a.account_id
              WHERE m.member_id = :member_id OR m.merged_into = :member_id
              ORDER BY a.account_id LIMIT 1"""),
            {"member_id": member_id},
        )
    ).first()
    return None if row is None else (row.business_id, row.external_id)


def known(condition: str) -> Relation:
    """Return the read of which member each of `:member_ids` now is, if `condition` allows it.

    `condition` is SQL on `m`, the member as it is now. Unknown ids and erased members are left out.
    """
    # CASE, not coalesce(): behind a policy what might leak looks up no index, and coalesce() counts
    # as such: every member would be read to find one.
    return Relation(
        f"""
SELECT w.wanted, m.member_id
FROM unnest(CAST(:member_ids AS bigint[])) AS w (wanted)
JOIN member asked ON asked.member_id = w.wanted AND asked.erased_at IS NULL
JOIN member m ON m.member_id =
  CASE WHEN asked.merged_into IS NULL THEN asked.member_id ELSE asked.merged_into END
WHERE {condition}
""",  # noqa: S608 - constants of ours
        ("wanted", "member_id"),
    )


BY_NUMBER = Keyset((Column("member_id", int),), descending=True)
"""The latest first."""
BY_JOINING = Keyset((Column("created_at", datetime), Column("member_id", int)))
BY_ACTIVITY = Keyset((Column("last_active_on", date), Column("member_id", int)))
"""Those alone who ever earned or redeemed."""
MEMBER_FILTERS: dict[str, str] = {
    "joined_from": "created_at >= :joined_from",
    "joined_before": "created_at < :joined_before",
    "active_from": "last_active_on >= :active_from",
    "active_until": "last_active_on <= :active_until",
    "tier": "tier_id = (SELECT t.tier_id FROM tier t WHERE t.code = :tier) AND until IS NULL",
    "business_id": "",
}
"""By what members are filtered, and how that is said of a row."""
_AT_BUSINESS = """(SELECT l.member_id FROM account a
  JOIN account_link l ON l.account_id = a.account_id AND upper_inf(l.valid)
  WHERE a.business_id = :business_id)"""
# Accounts stay with whom they were born to.
_MERGED_AT_BUSINESS = """(SELECT f.merged_into FROM account a
  JOIN account_link l ON l.account_id = a.account_id AND upper_inf(l.valid)
  JOIN member f ON f.member_id = l.member_id
  WHERE a.business_id = :business_id AND f.merged_into IS NOT NULL)"""


def member_page(*, order: Keyset, stretch: Stretch, only: Collection[str] = ()) -> Relation:
    """Return the read of up to `:limit` members, by `order`, between the places of a stretch.

    `only` names those of MEMBER_FILTERS that hold. Whoever was merged away or erased is left out.
    """
    columns = ", ".join(column.name for column in order.columns)
    active = "last_active_on" in columns or not {"active_from", "active_until"}.isdisjoint(only)
    conditions = ["merged_into IS NULL", "erased_at IS NULL", order.between(stretch)]
    conditions += [said for name, said in MEMBER_FILTERS.items() if name in only and said]
    if active:
        conditions.append("unit = 1 AND last_active_on IS NOT NULL")
    ends = f"ORDER BY {order.order(stretch)} LIMIT :limit"
    joined = " JOIN balance USING (member_id)" if active else ""
    joined += " JOIN member_tier USING (member_id)" if "tier" in only else ""
    page = f"SELECT {columns} FROM member{joined} WHERE {' AND '.join(conditions)}"  # noqa: S608
    if "business_id" in only:
        # Each part is read in order as far as the page needs it; OR would read all members.
        parts = [
            f"({page} AND member_id IN {whose} {ends})"
            for whose in (_AT_BUSINESS, _MERGED_AT_BUSINESS)
        ]
        page = f"SELECT {columns} FROM ({' UNION '.join(parts)}) m"  # noqa: S608
    place = tuple(column.name for column in order.columns)
    return Relation(f"{page} {ends}", place)


async def members_in_order(
    db: AsyncConnection, *, order: Keyset, stretch: Stretch, only: Mapping[str, object]
) -> Sequence[Row[Any]]:
    """Return the places of members as `member_page` says; `only` has values of MEMBER_FILTERS."""
    page = member_page(order=order, stretch=stretch, only=only)
    facts = {"limit": stretch.limit, **order.facts(stretch), **only}
    return (await db.execute(page.statement, facts)).all()


async def current_members(db: AsyncConnection, *, member_ids: Sequence[int]) -> dict[int, int]:
    """Return which member each id now is: itself, unless merged away.

    Unknown ids, and erased members, are left out.
    """
    rows = await db.execute(
        text("""
          SELECT member_id, coalesce(merged_into, member_id) AS now FROM member
          WHERE member_id = ANY(CAST(:wanted AS bigint[])) AND erased_at IS NULL"""),
        {"wanted": list(dict.fromkeys(member_ids))},
    )
    return {row.member_id: row.now for row in rows}


async def lock_current_member(db: AsyncConnection, *, member_id: int) -> int | None:
    """Return which member an id now is, and let nobody merge, split or erase it until the end.

    None for an unknown id and an erased member. Comes before the locks of pools and balances.
    """
    while (now := (await current_members(db, member_ids=[member_id])).get(member_id)) is not None:
        locked = await db.scalar(
            text("""
              SELECT member_id FROM member
              WHERE member_id = :now AND merged_into IS NULL AND erased_at IS NULL FOR SHARE"""),
            {"now": now},
        )
        if locked is not None:
            return now
    return None
