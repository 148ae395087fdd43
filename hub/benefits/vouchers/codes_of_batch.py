"""Codes of batch: read what was generated, to be printed or sent out."""

from collections.abc import AsyncIterator

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.codes import printed
from hub.benefits.vouchers.generate import BLOCK, FIRST_BLOCK
from hub.benefits.vouchers.key import known_key
from hub.crypto.keyring import Keyring


async def codes_of_batch(
    db: AsyncConnection, *, batch_id: int, keyring: Keyring
) -> AsyncIterator[list[str]]:
    """Yield the batch's codes as they are printed, block by block, in the order they were made.

    All of them, whatever became of the vouchers since.
    """
    key = await known_key(db, keyring=keyring)
    blocks = await db.scalars(
        text("SELECT block_id FROM voucher_block WHERE batch_id = :batch_id ORDER BY block_id"),
        {"batch_id": batch_id},
    )
    for block_id in blocks.all():
        first = FIRST_BLOCK + block_id * BLOCK
        ids = await db.scalars(
            text("""
              SELECT voucher_id FROM voucher WHERE voucher_id >= :first AND voucher_id < :beyond
              ORDER BY voucher_id"""),
            {"first": first, "beyond": first + BLOCK},
        )
        if key is not None:
            yield [printed(code) for code in key.codes(ids.all())]
