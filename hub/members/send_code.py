"""Send a code: hand it to the group's own gateway for text messages and mail."""

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import httpx2
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.delivery import open_sealed
from hub.crypto.keyring import Keyring
from hub.errors import Rejected, Unavailable
from hub.members.identifiers import Kind
from hub.members.one_time_codes import address_place, code_place

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Code:
    """A code to be sent; its repr shows neither the code nor whom it is for.

    `channel` is `phone` or `email`; `to` a number in E.164 or an address. A gateway that is handed
    the same `id` twice sends one message.
    """

    id: int
    channel: str
    to: str = field(repr=False)
    code: str = field(repr=False)
    ttl_seconds: int


class Sender(Protocol):
    """What delivers codes. The words around them are its own: many gateways allow no others."""

    async def send(self, code: Code) -> None:
        """Deliver; raises Unavailable when it should be tried again, Rejected when it should not.

        No message of an error may hold the code or whom it is for.
        """


class Gateway:
    """Sends a code as JSON by POST to an address of the group's, with a bearer token if it has one.

    The answer is read for its status alone: 2xx is sent, 429 and 5xx come again.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    async def send(self, code: Code) -> None:
        """Post it."""
        headers = {**self._headers, "idempotency-key": str(code.id)}
        try:
            async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as http:
                answer = await http.post(self._url, json=asdict(code), headers=headers)
        except httpx2.HTTPError as failure:
            raise Unavailable(
                f"the gateway for codes gave no answer: {type(failure).__name__}"
            ) from None
        if answer.status_code == 429 or answer.status_code >= 500:
            raise Unavailable(f"the gateway for codes answered {answer.status_code}")
        if not answer.is_success:
            raise Rejected(f"the gateway for codes answered {answer.status_code}: read its log")


class Spool:
    """Appends codes to a file that only its owner reads, a JSON object a line: for trials."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, code: Code) -> None:
        """Append it."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a") as file:
            file.write(json.dumps(asdict(code)) + "\n")


def make_sender(target: str | None, token: str | None = None) -> Sender:
    """Return what sends to `target`: an http(s) address or `file:PATH`.

    Raises Unavailable with the way out when none is configured.
    """
    if target is None:
        raise Unavailable("nothing sends codes here: set HUB_CODE_SENDER to your gateway's address")
    if target.startswith("file:"):
        return Spool(Path(target.removeprefix("file:")))
    return Gateway(target, token)


async def open_code(
    db: AsyncConnection, *, verification_id: int, now: datetime, keyring: Keyring
) -> Code | None:
    """Return the code to be sent; None when it was sent, has ended or comes too late to be used."""
    row = (
        await db.execute(
            text("""
              SELECT coalesce(resent_as, verification_id) AS number, kind, expires_at,
                sealed_address, sealed_code
              FROM verification
              WHERE verification_id = :id AND sealed_code IS NOT NULL AND sent_at IS NULL
                AND expires_at > :now"""),
            {"id": verification_id, "now": now},
        )
    ).first()
    if row is None:
        return None
    address = open_sealed(keyring, row.sealed_address, context=address_place(verification_id))
    code = open_sealed(keyring, row.sealed_code, context=code_place(verification_id))
    return Code(
        id=row.number,
        channel=Kind(row.kind).name.lower(),
        to=address.decode(),
        code=code.decode(),
        ttl_seconds=int((row.expires_at - now).total_seconds()),
    )


async def note_sent(db: AsyncConnection, *, verification_id: int, now: datetime) -> None:
    """Note that the code is out; it is kept on only if it may be asked for again, to sign in."""
    await db.execute(
        text("""
          UPDATE verification SET sent_at = coalesce(sent_at, :now),
            sealed_code = CASE WHEN challenge IS NOT NULL THEN sealed_code END
          WHERE verification_id = :id"""),
        {"id": verification_id, "now": now},
    )
