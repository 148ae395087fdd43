"""Confirm a verification: the code came back, so that the phone or mailbox is in their hands."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Hint, HintType
from hub.crypto.delivery import open_sealed
from hub.crypto.keyring import Keyring
from hub.errors import NotFound
from hub.members.identifiers import Kind, identify
from hub.members.one_time_codes import (
    MOST_ATTEMPTS,
    address_place,
    count_wrong,
    end_code,
    is_right,
)
from hub.members.queries import verified_owner
from hub.members.resolve import Sighting, resolve

__all__ = ["MOST_ATTEMPTS", "Confirmation", "Confirmed", "confirm_verification"]

_HINTS = {Kind.PHONE: HintType.PHONE, Kind.EMAIL: HintType.EMAIL}

_VERIFICATION = text("""
SELECT * FROM verification WHERE verification_id = :verification_id FOR UPDATE
""")

_ACCOUNT = text("""
SELECT a.account_id, coalesce(m.merged_into, m.member_id) AS member_id
FROM account a
JOIN account_link l ON l.account_id = a.account_id AND upper_inf(l.valid)
JOIN member m ON m.member_id = l.member_id
WHERE a.business_id = :business_id AND a.external_id = :external_id
""")

_SHARED = text("""
SELECT true FROM shared_identifier
WHERE kind = :kind AND blind_index = ANY (CAST(:digests AS bytea[])) AND released_at IS NULL
""")


class Confirmation(StrEnum):
    """What came of a code."""

    VERIFIED = "verified"
    """The account's member owns the identifier now."""
    UNDECIDED = "undecided"
    """It is another member's, who may be the same person: somebody is to look at it."""
    SHARED = "shared"
    """It is known to be many people's: it is nobody's, whoever holds it."""
    WRONG_CODE = "wrong_code"
    ENDED = "ended"
    """It expired, was replaced by a newer one, or was answered wrongly too often."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The answer to a code; `member_id` and `account_id` are whose account it was for."""

    confirmation: Confirmation
    member_id: int | None = None
    account_id: int | None = None
    attempts_left: int = 0


async def confirm_verification(
    db: AsyncConnection,
    *,
    verification_id: int,
    code: str,
    member_id: int | None,
    business_id: int | None,
    now: datetime,
    keyring: Keyring,
) -> Confirmed:
    """Check a code and, if it is right, give the account's member the identifier.

    Whoever asked for it confirms it: the member, or the business. A code is good for five attempts,
    wrong ones are counted (commit them), and it works once; the same right code again is answered
    the same. The rules of who owns what are `hub.members.ruling`'s, for a sighting that is
    proven: a former owner who cannot be the same person loses the claim; one who may be keeps it.

    Raises NotFound for a verification that is not there or not the caller's.
    """
    row = (await db.execute(_VERIFICATION, {"verification_id": verification_id})).first()
    if row is None or not await _is_theirs(db, row, member_id, business_id):
        raise NotFound("there is no such verification", field="verification")
    right = is_right(row, code, keyring)
    if row.state == "confirmed" and right:
        return await _answer(db, row, Confirmation(row.outcome))
    if row.state != "open" or now >= row.expires_at:
        return Confirmed(Confirmation.ENDED)
    if not right:
        left = await count_wrong(db, row, now=now)
        return Confirmed(Confirmation.WRONG_CODE, attempts_left=left)
    outcome = await _claim(db, row, now, keyring)
    await end_code(db, row, outcome=outcome.value, now=now)
    return await _answer(db, row, outcome)


async def _is_theirs(
    db: AsyncConnection, row: Any, member_id: int | None, business_id: int | None
) -> bool:
    if not row.by_member:
        return bool(business_id == row.business_id)
    account = await _account(db, row)
    return account is not None and account.member_id == member_id


async def _account(db: AsyncConnection, row: Any) -> Any:
    key = {"business_id": row.business_id, "external_id": row.external_id}
    return (await db.execute(_ACCOUNT, key)).first()


async def _claim(db: AsyncConnection, row: Any, now: datetime, keyring: Keyring) -> Confirmation:
    kind = Kind(row.kind)
    address = open_sealed(
        keyring, row.sealed_address, context=address_place(row.verification_id)
    ).decode()
    sighting = Sighting(
        business_id=row.business_id,
        external_id=row.external_id,
        hints=(Hint(type=_HINTS[kind], value=address, verified=True),),
        seen_at=now,
        proven=True,
    )
    [seen] = await resolve(db, people=[sighting], now=now, keyring=keyring)
    digests = list(identify(keyring, kind, address).digests)
    found = {"kind": row.kind, "digests": digests}
    if await verified_owner(db, **found) == seen.member_id:
        return Confirmation.VERIFIED
    return Confirmation.SHARED if await db.scalar(_SHARED, found) else Confirmation.UNDECIDED


async def _answer(db: AsyncConnection, row: Any, confirmation: Confirmation) -> Confirmed:
    account = await _account(db, row)
    return Confirmed(confirmation, member_id=account.member_id, account_id=account.account_id)
