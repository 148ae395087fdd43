"""Side by side: the account that a review is about, and each member whose it may be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.crypto import fields
from hub.crypto.fields import DataKey
from hub.crypto.keyring import Keyring
from hub.members.identifiers import Identifier, Kind, Manner, identify, normaliser
from hub.members.masking import masked
from hub.members.queries import MemberAccount, accounts_of
from hub.members.review.agreement import COMPARED, Agreement, agreement
from hub.members.review.items import ReviewItem
from hub.members.review.queries import reviews_by_id

_SAID = text("""
SELECT p.account_id, p.attribute, p.ciphertext, p.verified, p.observed_at, k.wrapped
FROM account_profile p JOIN account_key k ON k.account_id = p.account_id
WHERE p.account_id = ANY (CAST(:accounts AS bigint[]))
  AND p.attribute = ANY (CAST(:attributes AS text[]))
ORDER BY p.account_id, array_position(CAST(:attributes AS text[]), p.attribute)
""")
# Each half of the condition on claims has an index of its own; without it neither would be used.
_CLAIMS = text("""
SELECT c.account_id, c.kind, c.blind_index, c.verified, c.last_seen_at,
  EXISTS (SELECT 1 FROM shared_identifier s WHERE s.kind = c.kind
    AND s.blind_index = c.blind_index AND s.released_at IS NULL) AS shared
FROM (SELECT DISTINCT * FROM unnest(CAST(:kinds AS smallint[]), CAST(:digests AS bytea[]))) AS u
  (kind, digest)
JOIN identifier_claim c ON c.kind = u.kind AND c.blind_index = u.digest AND c.closed_at IS NULL
  AND (c.verified OR NOT c.verified)
WHERE c.account_id = ANY (CAST(:accounts AS bigint[]))
""")
_KINDS = {
    "phone": Kind.PHONE,
    "email": Kind.EMAIL,
    "id_document_hash": Kind.ID_DOCUMENT,
    "unionid": Kind.UNIONID,
    "loyalty_id": Kind.LOYALTY_ID,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An identifier by which an account's person is known: verified, or evidence only.

    `shared`: many people give it, so that it says nothing of who somebody is.
    """

    kind: Kind
    verified: bool
    last_seen_at: datetime
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an account says of one attribute of its person, and what is known of it."""

    attribute: str
    value: str
    masked: str
    verified: bool
    observed_at: datetime
    known: Known | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """An account with what it says."""

    account: MemberAccount
    said: Sequence[Said]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A member whose the account may be, as it is now, by its other accounts."""

    member_id: int
    sides: Sequence[Side]
    agreement: Mapping[str, Agreement]
    evidence: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A review's two sides. Of a decided one all candidates are shown who are not erased."""

    item: ReviewItem
    seen: Side
    candidates: Sequence[Candidate]


async def comparisons(
    db: AsyncConnection, *, review_ids: Sequence[int], keyring: Keyring
) -> dict[int, Comparison]:
    """Return the two sides of reviews, in the clear and masked; unknown ones are left out."""
    items = await reviews_by_id(db, review_ids=review_ids)
    asked = {one for item in items.values() for one in (*item.candidates, item.member_id)}
    whom = await _whom(db, sorted(asked))
    accounts = await accounts_of(db, member_ids=sorted(set(whom.values())))
    ids = sorted({one.account_id for some in accounts.values() for one in some})
    said = await _said(db, ids, keyring)
    sides = {
        one.account_id: Side(account=one, said=said.get(one.account_id, ()))
        for some in accounts.values()
        for one in some
    }
    found = {}
    for review_id, item in items.items():
        if item.account_id not in sides:
            continue
        named = item.doubted if item.state == "open" else sorted(
            {whom[one] for one in item.candidates if one in whom}
        )  # fmt: skip
        seen = sides[item.account_id]
        found[review_id] = Comparison(
            item=item,
            seen=seen,
            candidates=[
                _candidate(item, seen, member_id, [
                    sides[one.account_id] for one in accounts.get(member_id, ())
                    if one.account_id != item.account_id
                ], whom)
                for member_id in named
            ],
        )  # fmt: skip
    return found


async def _whom(db: AsyncConnection, member_ids: Sequence[int]) -> dict[int, int]:
    rows = await db.execute(
        text("""
          SELECT member_id, coalesce(merged_into, member_id) AS now_is FROM member
          WHERE member_id = ANY (CAST(:wanted AS bigint[])) AND erased_at IS NULL"""),
        {"wanted": list(member_ids)},
    )
    return {row.member_id: row.now_is for row in rows}


def _candidate(
    item: ReviewItem, seen: Side, member_id: int, sides: Sequence[Side], whom: Mapping[int, int]
) -> Candidate:
    def values(some: Sequence[Side], attribute: str) -> list[str]:
        return [one.value for side in some for one in side.said if one.attribute == attribute]

    evidence = item.evidence or {}
    named = [evidence[key] for key in evidence if key.isdigit() and whom.get(int(key)) == member_id]
    return Candidate(
        member_id=member_id,
        sides=sides,
        agreement={
            attribute: agreement(attribute, values([seen], attribute), values(sides, attribute))
            for attribute in COMPARED
        },
        evidence=named[0] if named else None,
    )


async def _said(
    db: AsyncConnection, account_ids: Sequence[int], keyring: Keyring
) -> dict[int, list[Said]]:
    rows = await db.execute(_SAID, {"accounts": list(account_ids), "attributes": list(COMPARED)})
    keys: dict[int, DataKey] = {}
    values: list[tuple[Any, str, Identifier | None]] = []
    for row in rows:
        if row.account_id not in keys:
            key = fields.unwrap(keyring, row.wrapped, account_id=row.account_id)
            keys[row.account_id] = key
        value = keys[row.account_id].decrypt(
            row.ciphertext, table="account_profile", column=row.attribute, row=str(row.account_id)
        )
        values.append((row, value, _identifier(row.attribute, value, keyring)))
    known = await _known(db, account_ids, [one for *_, one in values if one is not None])
    found: dict[int, list[Said]] = {}
    for row, value, identifier in values:
        digests = [] if identifier is None else identifier.digests
        claims = [known.get((row.account_id, digest)) for digest in digests]
        found.setdefault(row.account_id, []).append(
            Said(
                attribute=row.attribute,
                value=value,
                masked=masked(HintType(row.attribute), value),
                verified=row.verified,
                observed_at=row.observed_at,
                known=next((one for one in claims if one is not None), None),
            )
        )
    return found


def _identifier(attribute: str, value: str, keyring: Keyring) -> Identifier | None:
    kind = _KINDS.get(attribute)
    normal = None if kind is None else normaliser(kind, Manner())(value)
    return None if kind is None or normal is None else identify(keyring, kind, normal)


async def _known(
    db: AsyncConnection, account_ids: Sequence[int], identifiers: Sequence[Identifier]
) -> dict[tuple[int, bytes], Known]:
    """Return what is known of identifiers, by account and digest; a verified claim counts first."""
    pairs = [(int(one.kind), digest) for one in identifiers for digest in one.digests]
    rows = await db.execute(
        _CLAIMS,
        {
            "kinds": [kind for kind, _ in pairs],
            "digests": [digest for _, digest in pairs],
            "accounts": list(account_ids),
        },
    )
    return {
        (row.account_id, bytes(row.blind_index)): Known(
            kind=Kind(row.kind),
            verified=row.verified,
            last_seen_at=row.last_seen_at,
            shared=row.shared,
        )
        for row in sorted(rows, key=lambda row: row.verified)
    }
