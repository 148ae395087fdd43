"""Join: a member shows their code or card at a business, and has an account there."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.keyring import Keyring
from hub.errors import NotFound
from hub.members.identifiers import Identifier, Kind, Manner, identify, normaliser
from hub.members.people import Outcome
from hub.members.resolve import Sighting, check_external_id, resolve

_OWNER = text("""
SELECT coalesce(m.merged_into, m.member_id) AS member_id
FROM identifier_claim c JOIN member m ON m.member_id = c.member_id
WHERE c.kind = :kind AND c.blind_index = ANY (CAST(:digests AS bytea[])) AND c.closed_at IS NULL
  AND c.verified
""")

# An account whose key was destroyed claims nothing. The birth that the number is of comes first, so
# that it still leads there after a split.
_GIVE_NUMBER = text("""
INSERT INTO identifier_claim (kind, blind_index, index_key_version, member_id, account_id,
  last_seen_at, verified, opened_at)
SELECT :kind, :digest, :key_version, l.member_id, l.account_id, :now, true, :now
FROM member m
JOIN account_link l ON l.member_id = m.member_id AND upper_inf(l.valid)
JOIN account_key k ON k.account_id = l.account_id
WHERE m.member_id = :member_id OR m.merged_into = :member_id
ORDER BY (l.member_id <> :member_id), l.account_id LIMIT 1
ON CONFLICT (kind, blind_index) WHERE closed_at IS NULL AND verified DO NOTHING
""")


class Joining(StrEnum):
    """What came of it."""

    OPENED = "opened"
    KNOWN = "known"
    """The member had this account already."""
    OTHER_ACCOUNT = "other_account"
    """The business has another record of the member; one is enough. Nothing was written."""
    TAKEN = "taken"
    """The record is another member's, who may be the same person: somebody is to look at it."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The member who joined, and the account that they have at the business."""

    joining: Joining
    member_id: int
    account_id: int | None = None


async def own_number(
    db: AsyncConnection, *, member_id: int, now: datetime, keyring: Keyring
) -> Identifier:
    """Return a member's own number as an identifier that only the hub can show.

    No card can bear it: what is printed has no such characters in its normal form. Raises NotFound
    for a member who is not there or has nothing left, having been erased.
    """
    identifier = identify(keyring, Kind.LOYALTY_ID, f"member/{member_id}")
    if await _owner(db, identifier) is None:
        given = {
            "kind": int(identifier.kind),
            "digest": identifier.digest,
            "key_version": identifier.key_version,
            "member_id": member_id,
            "now": now,
        }
        await db.execute(_GIVE_NUMBER, given)
        if await _owner(db, identifier) is None:
            raise NotFound("there is no such member", field="member")
    return identifier


async def card_number(
    db: AsyncConnection, *, value: str, business_id: int, keyring: Keyring
) -> Identifier:
    """Return a loyalty number that a card bears; raises NotFound unless it is somebody's."""
    luhn = await db.scalar(
        text("SELECT loyalty_check = 'luhn' FROM business WHERE business_id = :id"),
        {"id": business_id},
    )
    normal = normaliser(Kind.LOYALTY_ID, Manner(luhn=bool(luhn)))(value)
    identifier = None if normal is None else identify(keyring, Kind.LOYALTY_ID, normal)
    if identifier is None or await _owner(db, identifier) is None:
        raise NotFound("this card is no member's", field="loyaltyId")
    return identifier


async def join(
    db: AsyncConnection,
    *,
    identifier: Identifier,
    business_id: int,
    external_id: str | None,
    now: datetime,
    keyring: Keyring,
) -> Joined:
    """Open an account at a business for the member whose `identifier` was shown there.

    `external_id` is the business's own id for them; without one the hub keeps a walk-in account.
    The rules are those of resolution: a member has one record at a business. Joining again answers
    what stands. Raises Malformed for an id that cannot be one. Call it once per transaction.
    """
    owner = await _owner(db, identifier)
    if owner is None:
        raise NotFound("there is no such member", field="member")
    if external_id is not None:
        check_external_id(external_id)
    sighting = Sighting(
        business_id=business_id, external_id=external_id, identifiers=(identifier,), seen_at=now
    )
    try:
        async with db.begin_nested():
            [seen] = await resolve(db, people=[sighting], now=now, keyring=keyring)
            if seen.outcome in (Outcome.NEW, Outcome.NEW_WITH_REVIEW):
                raise _SecondRecord
    except _SecondRecord:
        return Joined(Joining.OTHER_ACCOUNT, owner)
    if seen.member_id != owner:
        return Joined(Joining.TAKEN, owner)
    opened = seen.outcome is Outcome.MATCHED
    return Joined(Joining.OPENED if opened else Joining.KNOWN, owner, seen.account_id)


class _SecondRecord(Exception):
    """Resolution would rather make a new member than give this one a second record."""


async def _owner(db: AsyncConnection, identifier: Identifier) -> int | None:
    member_id: int | None = await db.scalar(
        _OWNER, {"kind": int(identifier.kind), "digests": list(identifier.digests)}
    )
    return member_id
