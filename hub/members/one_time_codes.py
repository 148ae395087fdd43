"""One-time codes: how many there may be, how one is kept until it is sent, and what is right."""

import hmac
import secrets
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.blind_index import blind_index, blind_indexes
from hub.crypto.delivery import seal
from hub.crypto.keyring import Keyring
from hub.errors import Malformed, Rejected
from hub.members.identifiers import Identifier, Kind, Manner, normaliser
from hub.outbox.messages import put

SEND = "members.send_code"
CODE_TTL_SECONDS = 600
MOST_ATTEMPTS = 5
_DIGITS = 6

Limit = tuple[str, int, int]
"""What is counted, how many codes there may be of it, and in how many seconds."""

_BY_IDENTIFIER = "kind = :kind AND blind_index = ANY (CAST(:digests AS bytea[]))"
# What is asked for to sign in, by whomever, keeps no business from proving its customer's phone.
_TO_PROVE = f"{_BY_IDENTIFIER} AND challenge IS NULL"
_TO_SIGN_IN = f"{_BY_IDENTIFIER} AND challenge IS NOT NULL"
_BY_ASKER = f"{_TO_SIGN_IN} AND asked_by = ANY (CAST(:askers AS bytea[]))"
OF_IDENTIFIER: tuple[Limit, ...] = (
    (_TO_PROVE, 5, 3_600),
    (_TO_PROVE, 10, 86_400),
)
OF_ASKER: tuple[Limit, ...] = (
    (_BY_ASKER, 5, 3_600),
    (_BY_ASKER, 10, 86_400),
)
OF_ALL_ASKERS: tuple[Limit, ...] = (
    (_TO_SIGN_IN, 15, 3_600),
    (_TO_SIGN_IN, 30, 86_400),
)

_INSERT = text("""
INSERT INTO verification (verification_id, member_id, requested_at, expires_at, business_id, kind,
  by_member, external_id, blind_index, code_hash, sealed_address, sealed_code, challenge, asked_by)
VALUES (:verification_id, :member_id, :now, :expires_at, :business_id, :kind, :by_member,
  :external_id, :digest, :code_hash, :sealed_address, :sealed_code, :challenge, :asked_by)
""")

_END = text("""
UPDATE verification SET state = :state, outcome = :outcome, attempts = :attempts, ended_at = :now,
  sealed_address = NULL, sealed_code = NULL
WHERE verification_id = :verification_id
""")


def personal(kind: Kind, value: str, *, region: str | None) -> str:
    """Return a phone or mailbox as it is compared; raises Malformed for what is nobody's own.

    `region` is where a number without a country code is read; None: nowhere.
    """
    if kind not in (Kind.PHONE, Kind.EMAIL):
        raise Malformed("a code is sent to a phone or an email address", field="kind")
    normal = normaliser(kind, Manner(region))(value)
    if normal is None:
        wanted = "mobile number" if kind is Kind.PHONE else "email address"
        way_out = ": give one with its country code" if kind is Kind.PHONE and not region else ""
        raise Malformed(f"this is nobody's own {wanted}{way_out}", field=kind.name.lower())
    return normal


async def lock_codes(db: AsyncConnection, *names: object) -> None:
    """Have what the limits count stand still: nobody else asks by one of these names."""
    for name in names:
        await db.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
            {"name": f"verify/{name}"},
        )


async def refuse_too_many(
    db: AsyncConnection, limits: Sequence[Limit], facts: dict[str, Any], *, now: datetime
) -> None:
    """Raise Rejected, with `retry_after_seconds`, while a limit leaves no room for another code."""
    full_until = " UNION ALL ".join(
        f"""(SELECT requested_at + interval '{seconds} seconds' AS room_at FROM verification
  WHERE {counted} AND requested_at > CAST(:now AS timestamptz) - interval '{seconds} seconds'
  ORDER BY requested_at DESC OFFSET {most - 1} LIMIT 1)"""  # noqa: S608 - constants, all of them
        for counted, most, seconds in limits
    )
    room_at = await db.scalar(
        text(f"SELECT max(room_at) FROM ({full_until}) AS limits"),  # noqa: S608
        {**facts, "now": now},
    )
    if room_at is not None:
        seconds = max(1, int((room_at - now).total_seconds()))
        raise Rejected(
            f"too many codes were asked for: try again in {seconds} seconds",
            retry_after_seconds=seconds,
        )


async def make_code(
    db: AsyncConnection,
    *,
    identifier: Identifier,
    normal: str,
    facts: dict[str, Any],
    now: datetime,
    keyring: Keyring,
    sent: bool = True,
) -> tuple[int, datetime]:
    """Make a code and have it sent; returns its number and until when it can be confirmed.

    With `sent` false everything is done but that: whoever asks cannot tell.
    """
    number: int = await db.scalar(text("SELECT nextval('verification_verification_id_seq')"))
    code = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"
    expires_at = now + timedelta(seconds=CODE_TTL_SECONDS)
    address = seal(keyring, normal.encode(), context=address_place(number))
    sealed = seal(keyring, code.encode(), context=code_place(number))
    await db.execute(
        _INSERT,
        {
            "challenge": None,
            "asked_by": None,
            **facts,
            "kind": int(identifier.kind),
            "verification_id": number,
            "now": now,
            "expires_at": expires_at,
            "digest": identifier.digest,
            "code_hash": blind_index(keyring, code_context(number), code).digest,
            "sealed_address": address if sent else None,
            "sealed_code": sealed if sent else None,
        },
    )
    await put(db, actor=SEND, references=[number], available_at=now)
    return number, expires_at


def is_right(row: Any, code: str, keyring: Keyring) -> bool:
    """Compare in constant time, under every key that may have hashed the code."""
    typed = unicodedata.normalize("NFKC", code).strip()
    indexes = blind_indexes(keyring, code_context(row.verification_id), typed)
    return any(hmac.compare_digest(row.code_hash, index.digest) for index in indexes)


async def count_wrong(db: AsyncConnection, row: Any, *, now: datetime) -> int:
    """Count a wrong attempt, which ends the code if it was the last; returns how many are left."""
    attempts: int = row.attempts + 1
    if attempts == MOST_ATTEMPTS:
        await end_code(db, row, outcome=None, now=now)
    else:
        await db.execute(
            text("UPDATE verification SET attempts = :attempts WHERE verification_id = :id"),
            {"id": row.verification_id, "attempts": attempts},
        )
    return MOST_ATTEMPTS - attempts


async def end_code(db: AsyncConnection, row: Any, *, outcome: str | None, now: datetime) -> None:
    """End a code: it was right, with what came of it, or wrong for the last time (None)."""
    await db.execute(
        _END,
        {
            "verification_id": row.verification_id,
            "state": "confirmed" if outcome else "failed",
            "outcome": outcome,
            "attempts": row.attempts if outcome else MOST_ATTEMPTS,
            "now": now,
        },
    )


def code_context(verification_id: int) -> str:
    """Return under what a code is hashed: the same six digits hash otherwise each time."""
    return f"verification/{verification_id}"


def address_place(verification_id: int) -> str:
    """Return the place that a sealed address is bound to."""
    return f"verification|address|{verification_id}"


def code_place(verification_id: int) -> str:
    """Return the place that a sealed code is bound to."""
    return f"verification|code|{verification_id}"
