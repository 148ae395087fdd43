"""Verify denials: are the sealed ones as they were, and the seals too?"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.audit.seal import Seal, digest_of, last_seal, seal_hash, seals
from hub.audit.verify import Verified
from hub.crypto.errors import KeyUnknown
from hub.crypto.keyring import Keyring


async def verify_denials(
    db: AsyncConnection, *, keyring: Keyring, kept: Mapping[int, bytes] | None = None
) -> Verified:
    """Compute every seal anew, and of what is not forgotten every row; the first that is wrong.

    Run it in a transaction that sees one state throughout. `kept` are hashes of seals by number
    that were kept elsewhere: they alone tell that the last seals were taken away, with their rows.
    What was denied since the last seal nothing proves yet.
    """
    kept = kept or {}
    last = await last_seal(db)
    forgotten = None if last is None else last.forgotten_until
    previous: Seal | None = None
    rows = 0
    for one in await seals(db):
        due = 1 if previous is None else previous.seq + 1
        if one.seq != due:
            return Verified(rows, due, "the seal is missing")
        try:
            wrong = await _wrong(db, keyring, one, previous, forgotten)
        except KeyUnknown as unknown:
            wrong = unknown.message
        if wrong is None and kept.get(one.seq, one.hash) != one.hash:
            wrong = "the seal is not the one that was kept elsewhere"
        if wrong is not None:
            return Verified(rows, one.seq, wrong)
        rows, previous = rows + one.denials, one
    reached = 0 if previous is None else previous.seq
    if max(kept, default=0) > reached:
        return Verified(rows, reached + 1, f"the seal is missing: there were {max(kept)}")
    return Verified(rows)


async def _wrong(
    db: AsyncConnection,
    keyring: Keyring,
    one: Seal,
    previous: Seal | None,
    forgotten: datetime | None,
) -> str | None:
    if seal_hash(keyring, one, previous=b"" if previous is None else previous.hash) != one.hash:
        return "the seal is not what was written"
    if forgotten is not None and one.until <= forgotten:
        return None
    found, digest = await digest_of(
        db,
        keyring=keyring,
        key_version=one.key_version,
        since=previous.until if previous else None,
        until=one.until,
    )
    if found != one.denials:
        return f"{found} denials are there of {one.denials}"
    return None if digest == one.digest else "a denial is not what was sealed"
