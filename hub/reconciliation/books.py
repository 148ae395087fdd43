"""The lock under which a book is read or matched."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def lock_book(db: AsyncConnection, book_id: int) -> None:
    """Wait until nobody else reads files into this book or matches it, and keep it so."""
    await db.execute(
        text("SELECT FROM reconciliation_book WHERE book_id = :id FOR UPDATE"), {"id": book_id}
    )
