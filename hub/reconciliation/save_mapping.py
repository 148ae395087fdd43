"""Save a mapping: how the files of a business's book are read from now on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound, Rejected
from hub.points.checks import named
from hub.programme.queries import business_by_code
from hub.reconciliation.codes import Role
from hub.reconciliation.mapping import MappingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedMapping:
    """A version of a mapping, and the book that its files are of."""

    code: str
    version: int
    book_id: int
    business_id: int
    role: Role
    config: MappingConfig


async def save_mapping(
    db: AsyncConnection, *, config: MappingConfig, actor: str, now: datetime
) -> SavedMapping:
    """Save a mapping as the next version of its code; the same again changes nothing.

    Raises NotFound for an unknown business, Rejected when the code is of another book.
    """
    named(actor)
    business = await business_by_code(db, config.business)
    for code in config.counterparties.values():
        await business_by_code(db, code)
    facts = {"business_id": business.business_id, "role": config.role.value}
    await db.execute(
        text("""
          INSERT INTO reconciliation_book (business_id, role) VALUES (:business_id, :role)
          ON CONFLICT DO NOTHING"""),
        facts,
    )
    book_id = await db.scalar(
        text("""
          SELECT book_id FROM reconciliation_book
          WHERE business_id = :business_id AND role = :role FOR UPDATE"""),
        facts,
    )
    before = await _newest(db, config.code)
    if before is not None and before.book_id != book_id:
        raise Rejected(
            f"mapping {config.code} is of another book: choose another code", code=config.code
        )
    if before is not None and before.config == config:
        return before
    await db.execute(
        text("""
          INSERT INTO reconciliation_mapping (code, version, book_id, config, saved_at, saved_by)
          VALUES (:code, :version, :book_id, CAST(:config AS jsonb), :now, :actor)"""),
        {
            "code": config.code,
            "version": 1 if before is None else before.version + 1,
            "book_id": book_id,
            "config": config.model_dump_json(),
            "now": now,
            "actor": actor,
        },
    )
    return await mapping(db, config.code)


async def mapping(db: AsyncConnection, code: str) -> SavedMapping:
    """Return the version of a mapping that is in force; raises NotFound."""
    # What is not printable, such as NUL, names nothing; PostgreSQL would not even take it.
    found = await _newest(db, code) if code.isprintable() else None
    if found is None:
        raise NotFound(f"there is no mapping {code!r}: save it with `hub reconcile map FILE`")
    return found


async def mappings(db: AsyncConnection, *, business_ids: Sequence[int]) -> list[SavedMapping]:
    """Return the mappings of these businesses' books that are in force."""
    rows = await db.execute(
        text("""
          SELECT DISTINCT ON (code) code, version, book_id, business_id, role, config
          FROM reconciliation_mapping JOIN reconciliation_book USING (book_id)
          WHERE business_id = ANY (CAST(:ids AS smallint[])) ORDER BY code, version DESC"""),
        {"ids": list(business_ids)},
    )
    return [_saved(row) for row in rows]


async def _newest(db: AsyncConnection, code: str) -> SavedMapping | None:
    row = (
        await db.execute(
            text("""
              SELECT code, version, book_id, business_id, role, config
              FROM reconciliation_mapping JOIN reconciliation_book USING (book_id)
              WHERE code = :code ORDER BY version DESC LIMIT 1"""),
            {"code": code},
        )
    ).first()
    return None if row is None else _saved(row)


def _saved(row: Row[Any]) -> SavedMapping:
    facts = row._asdict()
    facts["config"] = MappingConfig.model_validate(facts["config"])
    facts["role"] = Role(facts["role"])
    return SavedMapping(**facts)
