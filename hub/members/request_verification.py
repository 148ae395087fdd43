"""Request a verification: a one-time code goes to a phone or mailbox; who has it can prove it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.keyring import Keyring
from hub.errors import Rejected
from hub.members.identifiers import Kind, identify
from hub.members.one_time_codes import (
    OF_IDENTIFIER,
    lock_codes,
    make_code,
    personal,
    refuse_too_many,
)

# How many codes may be asked for in how many seconds. What is counted is said by its condition,
# each of which has an index of its own.
_BY_ACCOUNT = "business_id = :business_id AND external_id = :external_id"
_BY_MEMBER = "member_id = CAST(:member_id AS bigint) AND challenge IS NULL"
_BY_BUSINESS = "business_id = :business_id AND NOT by_member"
LIMITS = (
    *OF_IDENTIFIER,
    (_BY_ACCOUNT, 5, 3_600),
    (_BY_MEMBER, 5, 3_600),
    (_BY_MEMBER, 10, 86_400),
    (_BY_BUSINESS, 600, 3_600),
)

_ACCOUNT = text("""
SELECT coalesce(m.merged_into, m.member_id) AS member_id, k.account_id IS NULL AS erased
FROM account a
JOIN account_link l ON l.account_id = a.account_id AND upper_inf(l.valid)
JOIN member m ON m.member_id = l.member_id
LEFT JOIN account_key k ON k.account_id = a.account_id
WHERE a.business_id = :business_id AND a.external_id = :external_id
""")

_REPLACE = text("""
UPDATE verification SET state = 'replaced', ended_at = :now, sealed_address = NULL,
  sealed_code = NULL
WHERE business_id = :business_id AND external_id = :external_id AND kind = :kind
  AND state = 'open'
""")


@dataclass(frozen=True, slots=True)
class Requested:
    """A code that is on its way, and until when it can be confirmed."""

    verification_id: int
    expires_at: datetime


async def request_verification(
    db: AsyncConnection,
    *,
    kind: Kind,
    value: str,
    business_id: int,
    external_id: str,
    by_member: bool,
    now: datetime,
    keyring: Keyring,
) -> Requested:
    """Send a code of six digits to a phone or email, for an account that claims to have it.

    The account is a business's, under its own id for the person; it may be new to the hub. A code
    lives ten minutes, and a new one for the same account and kind replaces it. What is asked for
    tells nobody whether somebody has the phone already.

    Raises Malformed, which names the kind, for what is no personal phone or no address; Rejected
    with `retry_after_seconds` when too many codes were asked for by the account, its member or the
    business, or for that phone; Rejected for an account that was erased.
    """
    region = await db.scalar(
        text("SELECT country FROM business WHERE business_id = :id"), {"id": business_id}
    )
    normal = personal(kind, value, region=region)
    identifier = identify(keyring, kind, normal)
    account = {"business_id": business_id, "external_id": external_id}
    await lock_codes(db, business_id, identifier.digest.hex())
    known = (await db.execute(_ACCOUNT, account)).first()
    if known is not None and known.erased:
        raise Rejected("this account was erased: nothing can be verified for it")
    facts = {**account, "member_id": None if known is None else known.member_id}
    counted = {**facts, "kind": int(kind), "digests": list(identifier.digests)}
    await refuse_too_many(db, LIMITS, counted, now=now)
    await db.execute(_REPLACE, {**account, "kind": int(kind), "now": now})
    number, expires_at = await make_code(
        db,
        identifier=identifier,
        normal=normal,
        facts={**facts, "by_member": by_member},
        now=now,
        keyring=keyring,
    )
    return Requested(number, expires_at)
