"""Seal: hash the denials of minutes that are over, onto the seal before. Nobody waits for it."""

import hmac
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.keyring import Keyring
from hub.errors import Malformed

OVER = timedelta(hours=1)
"""After so long nobody is about to add to a minute: an operation takes far less."""
CHUNK_ROWS = 10_000
WORD = "denials"
"""What a line of an anchor file begins with that is about denials."""

_ROWS = text("""
SELECT denial_id, minute, times, role, subject, operation, path, reason, asked FROM denial
WHERE (minute, denial_id) > (coalesce(CAST(:minute AS timestamptz), '-infinity'), :denial_id)
  AND minute < :until
ORDER BY minute, denial_id LIMIT :chunk""")
_SEALS = text("""
SELECT seq, key_version, sealed_at, until, forgotten_until, denials, digest, hash FROM denial_seal
WHERE seq > :after ORDER BY seq""")
_BEFORE_LAST = text("SELECT max(seq) - 1 FROM denial_seal")
_FORGOTTEN = text("""
SELECT max(until) FROM denial_seal
WHERE until <= CAST(:now AS timestamptz) - make_interval(months => :months)""")
_SEAL = text("""
INSERT INTO denial_seal
  (seq, key_version, sealed_at, until, forgotten_until, denials, digest, hash)
VALUES (:seq, :key_version, :sealed_at, :until, :forgotten_until, :denials, :digest, :hash)""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A seal as it is stored: up to `until` there were so many denials beyond the seal before."""

    seq: int
    key_version: int
    sealed_at: datetime
    until: datetime
    forgotten_until: datetime | None
    denials: int
    digest: bytes
    hash: bytes

    def line(self) -> str:
        """Return what to keep elsewhere: a line of an anchor file."""
        return f"{WORD} {self.until.astimezone(UTC):%Y-%m-%dT%H:%M} {self.seq} {self.hash.hex()}"


async def seal(
    db: AsyncConnection, *, keyring: Keyring, keep_months: int, now: datetime
) -> Seal | None:
    """Seal what was denied up to an hour ago; None when that is sealed already.

    What is older than `keep_months` is thereby declared forgotten, by whole seals: `forget_denials`
    deletes it. Whoever else seals waits; whoever records denials does not.
    """
    await db.execute(text("LOCK TABLE denial_seal IN EXCLUSIVE MODE"))
    last = await last_seal(db)
    until = (now - OVER).replace(second=0, microsecond=0)
    if last is not None and last.until >= until:
        return None
    version = keyring.audit.active
    denials, digest = await digest_of(
        db, keyring=keyring, key_version=version, since=last.until if last else None, until=until
    )
    over = await db.scalar(_FORGOTTEN, {"now": now, "months": keep_months})
    before = last.forgotten_until if last else None
    unsigned = Seal(
        seq=last.seq + 1 if last else 1,
        key_version=version,
        sealed_at=now,
        until=until,
        forgotten_until=max(filter(None, (over, before)), default=None),
        denials=denials,
        digest=digest,
        hash=b"",
    )
    hash_ = seal_hash(keyring, unsigned, previous=last.hash if last else b"")
    made = replace(unsigned, hash=hash_)
    await db.execute(_SEAL, asdict(made))
    return made


async def last_seal(db: AsyncConnection) -> Seal | None:
    """Return the last seal; None before the first."""
    return next(iter(await seals(db, after=await db.scalar(_BEFORE_LAST))), None)


async def seals(db: AsyncConnection, *, after: int | None = None) -> list[Seal]:
    """Return seals in their order, all or those beyond a number."""
    rows = await db.execute(_SEALS, {"after": after or 0})
    return [Seal(**row._asdict()) for row in rows]


async def digest_of(
    db: AsyncConnection,
    *,
    keyring: Keyring,
    key_version: int,
    since: datetime | None,
    until: datetime,
) -> tuple[int, bytes]:
    """Return how many rows there are of these minutes, and their digest; raises KeyUnknown."""
    key = keyring.audit.version(key_version)
    rows, mac = 0, hmac.new(key, b"hub.audit.denials/1\0", sha256)
    last = {"minute": since, "denial_id": 0}
    while found := (await db.execute(_ROWS, {**last, "until": until, "chunk": CHUNK_ROWS})).all():
        for row in found:
            last = {"minute": row.minute, "denial_id": row.denial_id}
            facts = [*row]
            facts[1] = row.minute.astimezone(UTC).isoformat()
            mac.update(orjson.dumps(facts) + b"\n")
        rows += len(found)
    return rows, mac.digest()


def seal_hash(keyring: Keyring, of: Seal, *, previous: bytes) -> bytes:
    """Return a seal's hash, over all it says and the seal before it; raises KeyUnknown."""
    forgotten = of.forgotten_until and of.forgotten_until.astimezone(UTC).isoformat()
    facts = [
        of.seq,
        of.key_version,
        of.sealed_at.astimezone(UTC).isoformat(),
        of.until.astimezone(UTC).isoformat(),
        forgotten,
        of.denials,
        of.digest.hex(),
        previous.hex(),
    ]
    key = keyring.audit.version(of.key_version)
    return hmac.digest(key, b"hub.audit.seal/1\0" + orjson.dumps(facts), sha256)


def read_line(line: str) -> tuple[int, bytes]:
    """Read a line that was kept elsewhere: a seal's number and hash; raises Malformed."""
    try:
        word, _, seq, hash_ = line.split()
        if word != WORD:
            raise ValueError(word)
        return int(seq), bytes.fromhex(hash_)
    except ValueError:
        raise Malformed(
            f"{line[:60]!r} is no line that `hub audit anchor` wrote", field="anchors"
        ) from None
