"""Request a verification: a one-time code goes to a phone or mailbox; who has it can prove it."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.blind_index import blind_index
from hub.crypto.delivery import seal
from hub.crypto.keyring import Keyring
from hub.errors import Malformed, Rejected
from hub.members.identifiers import Identifier, Kind, Manner, identify, normaliser
from hub.outbox.messages import put

SEND = "members.send_code"
CODE_TTL_SECONDS = 600
_DIGITS = 6

# How many codes may be asked for in how many seconds. What is counted is said by its condition,
# each of which has an index of its own.
_BY_IDENTIFIER = "kind = :kind AND blind_index = ANY (CAST(:digests AS bytea[]))"
_BY_ACCOUNT = "business_id = :business_id AND external_id = :external_id"
_BY_MEMBER = "member_id = CAST(:member_id AS bigint)"
_BY_BUSINESS = "business_id = :business_id AND NOT by_member"
LIMITS = (
    (_BY_IDENTIFIER, 5, 3_600),
    (_BY_IDENTIFIER, 10, 86_400),
    (_BY_ACCOUNT, 5, 3_600),
    (_BY_MEMBER, 5, 3_600),
    (_BY_MEMBER, 10, 86_400),
    (_BY_BUSINESS, 600, 3_600),
)

# When all limits leave room again; null: now.
_FULL_UNTIL = " UNION ALL ".join(
    f"""(
  SELECT requested_at + interval '{seconds} seconds' AS room_at FROM verification
  WHERE {counted} AND requested_at > CAST(:now AS timestamptz) - interval '{seconds} seconds'
  ORDER BY requested_at DESC OFFSET {most - 1} LIMIT 1)"""  # noqa: S608  (constants, all of them)
    for counted, most, seconds in LIMITS
)
_ROOM_AT = text(f"SELECT max(room_at) FROM ({_FULL_UNTIL}) AS limits")  # noqa: S608

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

_INSERT = text("""
INSERT INTO verification (verification_id, member_id, requested_at, expires_at, business_id, kind,
  by_member, external_id, blind_index, code_hash, sealed_address, sealed_code)
VALUES (:verification_id, :member_id, :now, :expires_at, :business_id, :kind, :by_member,
  :external_id, :digest, :code_hash, :sealed_address, :sealed_code)
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
    normal = await _normal(db, kind, value, business_id)
    identifier = identify(keyring, kind, normal)
    account = {"business_id": business_id, "external_id": external_id}
    await _lock(db, identifier, business_id)
    known = (await db.execute(_ACCOUNT, account)).first()
    if known is not None and known.erased:
        raise Rejected("this account was erased: nothing can be verified for it")
    facts = {
        **account,
        "kind": int(kind),
        "member_id": None if known is None else known.member_id,
        "now": now,
    }
    room_at = await db.scalar(_ROOM_AT, {**facts, "digests": list(identifier.digests)})
    if room_at is not None:
        seconds = max(1, int((room_at - now).total_seconds()))
        raise Rejected(
            f"too many codes were asked for: try again in {seconds} seconds",
            retry_after_seconds=seconds,
        )
    await db.execute(_REPLACE, {**account, "kind": int(kind), "now": now})
    made = await _make(db, identifier, normal, {**facts, "by_member": by_member}, keyring)
    await put(db, actor=SEND, references=[made.verification_id], available_at=now)
    return made


async def _normal(db: AsyncConnection, kind: Kind, value: str, business_id: int) -> str:
    if kind not in (Kind.PHONE, Kind.EMAIL):
        raise Malformed("a code is sent to a phone or an email address", field="kind")
    country = await db.scalar(
        text("SELECT country FROM business WHERE business_id = :id"), {"id": business_id}
    )
    normal = normaliser(kind, Manner(country))(value)
    if normal is None:
        wanted = "mobile number" if kind is Kind.PHONE else "email address"
        raise Malformed(f"this is nobody's own {wanted}", field=kind.name.lower())
    return normal


async def _lock(db: AsyncConnection, identifier: Identifier, business_id: int) -> None:
    """Have what the limits count stand still: nobody else asks here, or for this identifier."""
    for name in (f"verify/{business_id}", f"verify/{identifier.digest.hex()}"):
        await db.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
        )


async def _make(
    db: AsyncConnection,
    identifier: Identifier,
    normal: str,
    facts: dict[str, Any],
    keyring: Keyring,
) -> Requested:
    number: int = await db.scalar(text("SELECT nextval('verification_verification_id_seq')"))
    code = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"
    expires_at = facts["now"] + timedelta(seconds=CODE_TTL_SECONDS)
    await db.execute(
        _INSERT,
        {
            **facts,
            "verification_id": number,
            "expires_at": expires_at,
            "digest": identifier.digest,
            "code_hash": blind_index(keyring, code_context(number), code).digest,
            "sealed_address": seal(keyring, normal.encode(), context=address_place(number)),
            "sealed_code": seal(keyring, code.encode(), context=code_place(number)),
        },
    )
    return Requested(number, expires_at)


def code_context(verification_id: int) -> str:
    """Return under what a code is hashed: the same six digits hash otherwise each time."""
    return f"verification/{verification_id}"


def address_place(verification_id: int) -> str:
    """Return the place that a sealed address is bound to."""
    return f"verification|address|{verification_id}"


def code_place(verification_id: int) -> str:
    """Return the place that a sealed code is bound to."""
    return f"verification|code|{verification_id}"
