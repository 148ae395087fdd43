"""Generate: make the codes of a batch, block by block."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.batches import Batch, batch_named
from hub.benefits.vouchers.key import code_key
from hub.benefits.vouchers.queries import campaign_terms
from hub.crypto.keyring import Keyring
from hub.errors import Conflict, Malformed, NotFound

BLOCK = 1 << 16
FIRST_BLOCK = 1 << 40
MOST_CODES = 100_000_000
LONGEST_NAME = 100
# Of a voucher that nobody has only number and digest differ: an array of digests is written as fast
# as COPY writes rows, which PostgreSQL refuses where policies hold. A code that is taken already is
# left out, for another to be drawn.
_WRITE = """
WITH made AS (
  INSERT INTO voucher (voucher_id, granted, ends_at, terms_id, digest)
  SELECT $1::bigint + n, $2, $3, $4, digest
  FROM unnest($5::bytea[]) WITH ORDINALITY AS drawn (digest, n)
  ON CONFLICT DO NOTHING RETURNING 1
) SELECT count(*) FROM made"""


async def open_batch(
    db: AsyncConnection, *, campaign_code: str, name: str, count: int, now: datetime
) -> Batch:
    """Begin a batch of `count` codes under the terms in force, or return the one of that name.

    Raises Malformed for what can be no name or count, NotFound for a campaign without terms in
    force, Conflict, naming the field, when the batch of that name is another.
    """
    if not 1 <= count <= MOST_CODES:
        raise Malformed(f"a batch has from 1 to {MOST_CODES} codes", field="count")
    for field, said in (("campaign", campaign_code), ("batch", name)):
        if not 1 <= len(said) <= LONGEST_NAME or not said.isprintable():
            raise Malformed(
                f"a {field}'s name has from 1 to {LONGEST_NAME} printable characters", field=field
            )
    found = await campaign_terms(db, now=now, code=campaign_code)
    if not found:
        raise NotFound(f"no campaign {campaign_code!r} is in force", field="campaign")
    await db.execute(
        text("""
          INSERT INTO voucher_batch (name, terms_id, wanted, created_at)
          VALUES (:name, :terms_id, :count, :now) ON CONFLICT (name) DO NOTHING"""),
        {"name": name, "terms_id": found[0].terms_id, "count": count, "now": now},
    )
    batch = await batch_named(db, name=name)
    for field, asked, stored in (
        ("campaign", campaign_code, batch.campaign_code),
        ("count", count, batch.wanted),
    ):
        if asked != stored:
            raise Conflict(
                f"batch {name} has the {field} {stored}: give the new one its own name",
                field=field,
            )
    return batch


async def generate(
    db: AsyncConnection, *, batch_id: int, keyring: Keyring, at_most: int = BLOCK
) -> int:
    """Make a block of up to `at_most` codes of a batch; returns how many, 0 when all are there.

    The caller commits each block: cut off, the batch goes on with what is missing. Two at once
    take turns.
    """
    batch = (
        await db.execute(
            text("""
              SELECT b.wanted, t.terms_id, t.granted, t.valid_until
              FROM voucher_batch b JOIN voucher_terms t USING (terms_id)
              WHERE b.batch_id = :batch_id FOR UPDATE OF b"""),
            {"batch_id": batch_id},
        )
    ).one()
    made: int = await db.scalar(
        text("SELECT coalesce(sum(codes), 0) FROM voucher_block WHERE batch_id = :batch_id"),
        {"batch_id": batch_id},
    )
    missing = min(at_most, BLOCK, batch.wanted - int(made))
    if missing <= 0:
        return 0
    key = await code_key(db, keyring=keyring)
    block_id: int = await db.scalar(text("SELECT nextval('voucher_block_id')")) or 0
    first = FIRST_BLOCK + block_id * BLOCK
    digests = key.digests(key.codes(range(first, first + missing)))
    facts = (first - 1, batch.granted, batch.valid_until, batch.terms_id, digests)
    raw: Any = (await db.get_raw_connection()).driver_connection
    written: int = await raw.fetchval(_WRITE, *facts)
    await db.execute(
        text("INSERT INTO voucher_block (block_id, batch_id, codes) VALUES (:block, :batch, :n)"),
        {"block": block_id, "batch": batch_id, "n": written},
    )
    return written
