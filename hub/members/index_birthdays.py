"""Index birthdays: keep digests of the month and day of each, so that they can be found by day."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.crypto import fields
from hub.crypto.blind_index import blind_index, blind_indexes
from hub.crypto.keyring import Keyring
from hub.members.birthdays import Calendar, form_of

CHUNK_BIRTHDAYS = 1_000

# Locked before what was written is read: a writer's trigger waits for the row, or came before.
_STALE = text("""
SELECT account_id, source FROM birthday_index
WHERE index_key_version < :active OR index_key_version > :active
ORDER BY account_id, source LIMIT :birthdays FOR UPDATE SKIP LOCKED
""")
_WRITTEN = text("""
SELECT s.account_id, s.source, k.wrapped, CASE s.source
    WHEN 'pin' THEN (SELECT p.ciphertext FROM pin p WHERE p.account_id = s.account_id
      AND p.attribute = 'birthday' AND p.shows = 'value' ORDER BY p.pin_id DESC LIMIT 1)
    ELSE (SELECT p.ciphertext FROM account_profile p
      WHERE p.account_id = s.account_id AND p.attribute = 'birthday') END AS ciphertext
FROM unnest(CAST(:accounts AS bigint[]), CAST(:sources AS text[])) AS s (account_id, source)
LEFT JOIN account_key k ON k.account_id = s.account_id
""")
_INDEX = text("""
UPDATE birthday_index b SET gregorian = n.gregorian, lunar = n.lunar, index_key_version = :active
FROM unnest(CAST(:accounts AS bigint[]), CAST(:sources AS text[]), CAST(:gregorian AS bytea[]),
  CAST(:lunar AS bytea[])) AS n (account_id, source, gregorian, lunar)
WHERE b.account_id = n.account_id AND b.source = n.source
""")


async def index_birthdays(
    db: AsyncConnection, *, keyring: Keyring, birthdays: int = CHUNK_BIRTHDAYS
) -> int:
    """Index the next birthdays that were written since, or are under a key that was renewed.

    Returns how many; 0 when all are done, or somebody else has those that are left.
    """
    active = keyring.blind_index.active
    stale = (await db.execute(_STALE, {"active": active, "birthdays": birthdays})).all()
    if not stale:
        return 0
    names = {"accounts": [r.account_id for r in stale], "sources": [r.source for r in stale]}
    rows = (await db.execute(_WRITTEN, names)).all()
    digests: dict[str, list[bytes | None]] = {calendar.value: [] for calendar in Calendar}
    for row in rows:
        birthday = _opened(row, keyring)
        for calendar in Calendar:
            form = None if birthday is None else form_of(birthday, calendar)
            digest = None if form is None else blind_index(keyring, _kind(calendar), form).digest
            digests[calendar.value].append(digest)
    await db.execute(
        _INDEX,
        {
            "accounts": [row.account_id for row in rows],
            "sources": [row.source for row in rows],
            "active": active,
            **digests,
        },
    )
    return len(rows)


def digests_of_forms(keyring: Keyring, calendar: Calendar, forms: Collection[str]) -> list[bytes]:
    """Return under what digests birthdays of these forms are indexed, by every key that is held."""
    return [
        index.digest for form in forms for index in blind_indexes(keyring, _kind(calendar), form)
    ]


def _opened(row: Any, keyring: Keyring) -> str | None:
    if row.wrapped is None or row.ciphertext is None:
        return None
    key = fields.unwrap(keyring, row.wrapped, account_id=row.account_id)
    return key.decrypt(
        row.ciphertext,
        table="pin" if row.source == "pin" else "account_profile",
        column=HintType.BIRTHDAY.value,
        row=str(row.account_id),
    )


def _kind(calendar: Calendar) -> str:
    return f"birthday_{calendar.value}"
