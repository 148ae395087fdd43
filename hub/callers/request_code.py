"""Request a code to sign in with: it goes to the phone or mailbox, if a member owns it."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.keyring import Keyring
from hub.members.identifiers import Kind, identify
from hub.members.one_time_codes import (
    OF_IDENTIFIER,
    lock_codes,
    make_code,
    personal,
    refuse_too_many,
)
from hub.members.queries import verified_owner

_CHALLENGE_BYTES = 16


@dataclass(frozen=True, slots=True)
class CodeRequested:
    """By what the code is answered, and until when."""

    challenge: str
    expires_at: datetime


async def request_code(
    db: AsyncConnection, *, kind: Kind, value: str, now: datetime, keyring: Keyring
) -> CodeRequested:
    """Send a code of six digits to a phone (with its country code) or mailbox of a member.

    It is a member's if it is verified and shared with nobody. For what is nobody's the same is
    done and nothing sent: neither answer, limits nor time tell who is a member. Only who asked
    has the challenge, so that nobody else can use up the five attempts. Limits count what was
    asked for by whomever: a stranger can keep codes from a member for a while, who then signs in
    by passkey.

    Raises Malformed which names the kind, Rejected with `retry_after_seconds`.
    """
    normal = personal(kind, value, region=None)
    identifier = identify(keyring, kind, normal)
    await lock_codes(db, identifier.digest.hex())
    counted = {"kind": int(kind), "digests": list(identifier.digests)}
    await refuse_too_many(db, OF_IDENTIFIER, counted, now=now)
    owner = await verified_owner(db, kind=kind, digests=identifier.digests)
    challenge = secrets.token_bytes(_CHALLENGE_BYTES)
    _, expires_at = await make_code(
        db,
        identifier=identifier,
        normal=normal,
        facts={
            "member_id": owner,
            "business_id": None,
            "external_id": None,
            "by_member": True,
            "challenge": challenge,
        },
        sent=owner is not None,
        now=now,
        keyring=keyring,
    )
    return CodeRequested(base64.urlsafe_b64encode(challenge).decode().rstrip("="), expires_at)
