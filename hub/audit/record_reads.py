"""Record reads: append to the chain who was shown what, before they are shown it."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.audit.chain import Read, row_hash, signature
from hub.crypto.keyring import Keyring

_HEAD = text("SELECT seq, hash FROM read_audit_head FOR UPDATE")
_APPEND = text("""
WITH rows AS (
  INSERT INTO read_audit (seq, member_id, read_at, key_version, subject, role, attribute, hash)
  SELECT * FROM unnest(CAST(:seq AS bigint[]), CAST(:member_id AS bigint[]),
    CAST(:read_at AS timestamptz[]), CAST(:key_version AS integer[]), CAST(:subject AS text[]),
    CAST(:role AS text[]), CAST(:attribute AS text[]), CAST(:hash AS bytea[]))
)
UPDATE read_audit_head SET seq = :last, hash = :last_hash, key_version = :version,
  signature = :signature
""")


async def record_reads(db: AsyncConnection, *, reads: Sequence[Read], keyring: Keyring) -> None:
    """Append reads in their order; the caller commits before it shows what was read.

    The head is locked until then, so that whoever else appends comes after: keep the transaction
    short. Two round trips, however many reads.
    """
    if not reads:
        return
    head = (await db.execute(_HEAD)).one()
    version = keyring.audit.active
    seq, previous = head.seq, bytes(head.hash)
    numbers, hashes = [], []
    for read in reads:
        seq += 1
        previous = row_hash(keyring, read, seq=seq, key_version=version, previous=previous)
        numbers.append(seq)
        hashes.append(previous)
    await db.execute(
        _APPEND,
        {
            "seq": numbers,
            "member_id": [read.member_id for read in reads],
            "read_at": [read.read_at for read in reads],
            "key_version": [version] * len(reads),
            "subject": [read.subject for read in reads],
            "role": [read.role for read in reads],
            "attribute": [read.attribute for read in reads],
            "hash": hashes,
            "last": seq,
            "last_hash": previous,
            "version": version,
            "signature": signature(keyring, seq=seq, hash_=previous, key_version=version),
        },
    )
