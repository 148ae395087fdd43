"""Request a code to sign in with: it goes to the phone or mailbox, if a member owns it."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto import device_tokens
from hub.crypto.blind_index import blind_indexes
from hub.crypto.keyring import Keyring
from hub.errors import RateLimited, Rejected
from hub.members.identifiers import Identifier, Kind, identify
from hub.members.one_time_codes import (
    OF_ALL_ASKERS,
    OF_ASKER,
    Limit,
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
    db: AsyncConnection,
    *,
    kind: Kind,
    value: str,
    place: str,
    device_token: str | None,
    now: datetime,
    keyring: Keyring,
) -> CodeRequested:
    """Send a code of six digits to a phone (with its country code) or mailbox of a member.

    It is a member's if it is verified and shared with nobody. For what is nobody's the same is
    done and nothing sent: neither answer, limits nor time tell who is a member. Only who asked
    has the challenge, so that nobody else can use up the five attempts.

    Limits count what was asked for from one `place`, such as an address, and with more room from
    all. A device on which a code to that phone was right before shows its `device_token`: it is
    counted by itself, so that strangers who use up the rest keep no code from it.

    Raises Malformed which names the kind, RateLimited which names what there was too much of.
    """
    normal = personal(kind, value, region=None)
    identifier = identify(keyring, kind, normal)
    await lock_codes(db, identifier.digest.hex())
    asked_by = await _counted(
        db, identifier, place=place, device_token=device_token, now=now, keyring=keyring
    )
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
            "asked_by": asked_by,
        },
        sent=owner is not None,
        now=now,
        keyring=keyring,
    )
    return CodeRequested(base64.urlsafe_b64encode(challenge).decode().rstrip("="), expires_at)


async def _counted(
    db: AsyncConnection,
    identifier: Identifier,
    *,
    place: str,
    device_token: str | None,
    now: datetime,
    keyring: Keyring,
) -> bytes:
    """Return by whom the code is asked for; raises RateLimited."""
    facts: dict[str, Any] = {"kind": int(identifier.kind), "digests": list(identifier.digests)}
    device = device_token and device_tokens.read(keyring, device_token, now=now, **facts)
    asker = blind_indexes(keyring, "code/device" if device else "code/place", device or place)
    facts["askers"] = [index.digest for index in asker]
    field = identifier.kind.name.lower()
    which, of = ("from this device", "device_token") if device else ("from this address", field)
    await _refuse(db, OF_ASKER, facts, now=now, which=which, field=of)
    if not device:
        way = "a device that signed in before goes on with its `device_token`, others by passkey"
        await _refuse(
            db, OF_ALL_ASKERS, facts, now=now, which=f"for this {field} ({way})", field=field
        )
    return asker[0].digest


async def _refuse(
    db: AsyncConnection,
    limits: Sequence[Limit],
    facts: dict[str, Any],
    *,
    now: datetime,
    which: str,
    field: str,
) -> None:
    try:
        await refuse_too_many(db, limits, facts, now=now)
    except Rejected as no:
        seconds = no.facts["retry_after_seconds"]
        raise RateLimited(
            f"too many codes were asked for {which}: try again in {seconds} seconds",
            seconds=seconds if isinstance(seconds, int) else 60,
            field=field,
        ) from None
