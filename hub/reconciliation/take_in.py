"""Take in: the rows of a business's own file become rows of its book."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.points.checks import named
from hub.reconciliation.books import lock_book
from hub.reconciliation.rows import PartnerRow
from hub.reconciliation.save_mapping import SavedMapping
from hub.reconciliation.undoing import undo_superseded


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """What became of a file. `stale` rows were corrected by a later one before they came again.

    `replayed`: the same bytes were taken in before, and nothing was done.
    """

    file_id: int
    added: int
    unchanged: int
    superseded: int
    stale: int
    replayed: bool


_COLUMNS = (
    *("number", "leg", "day", "points", "amount_minor", "currency", "counterparty_id"),
    *("reference", "receipt", "names"),
)
_SAID = """
CREATE TEMP TABLE reconciliation_said (
  number integer, leg smallint, day date, points bigint, amount_minor bigint, currency char(3),
  counterparty_id smallint, reference text COLLATE "C", receipt text COLLATE "C",
  names text COLLATE "C") ON COMMIT DROP"""
# What a row says is its name within its reference: rows in another order are the same rows. A
# business that gives no references has the hub name rows by what they say.
_NAMED = """
CREATE TEMP TABLE reconciliation_named ON COMMIT DROP AS
SELECT s.*, coalesce(s.reference, '#' || s.digest) COLLATE "C" AS known_as,
  (row_number() OVER (PARTITION BY coalesce(s.reference, '#' || s.digest), s.digest
    ORDER BY s.number))::integer AS copy,
  coalesce(s.points, 0) <> 0 OR coalesce(s.amount_minor, 0) <> 0 AS counts
FROM (SELECT t.*, md5(ROW(leg, day, points, amount_minor, currency, counterparty_id, receipt,
    names)::text)::uuid AS digest FROM reconciliation_said t) s"""
# A reference whose rows were corrected since is old news as a whole.
_STALE = """
CREATE TEMP TABLE reconciliation_stale ON COMMIT DROP AS
SELECT DISTINCT n.known_as FROM reconciliation_named n
JOIN reconciliation_partner_row r ON r.book_id = :book_id AND r.reference = n.known_as
  AND r.digest = n.digest AND r.copy = n.copy
WHERE r.superseded_by IS NOT NULL AND NOT :again"""
_FRESH = """NOT EXISTS (SELECT FROM reconciliation_stale s WHERE s.known_as = n.known_as)"""
_SUPERSEDE = f"""
UPDATE reconciliation_partner_row r SET superseded_by = :file_id
WHERE r.book_id = :book_id AND r.superseded_by IS NULL
  AND r.reference IN (SELECT known_as FROM reconciliation_named n WHERE {_FRESH})
  AND NOT EXISTS (SELECT FROM reconciliation_named n WHERE n.known_as = r.reference
    AND n.digest = r.digest AND n.copy = r.copy AND n.counts)
RETURNING r.row_id"""  # noqa: S608 - constants of ours
_REVIVE = """
UPDATE reconciliation_partner_row r SET superseded_by = NULL
FROM reconciliation_named n
WHERE :again AND r.book_id = :book_id AND r.superseded_by IS NOT NULL AND n.counts
  AND n.known_as = r.reference AND n.digest = r.digest AND n.copy = r.copy"""
_ADD = f"""
INSERT INTO reconciliation_partner_row (file_id, number, copy, points, amount_minor, digest, day,
  book_id, leg, counterparty_id, currency, reference, receipt, names)
SELECT :file_id, number, copy, points, amount_minor, digest, day, CAST(:book_id AS smallint), leg,
  counterparty_id, currency, known_as, receipt, names
FROM reconciliation_named n WHERE n.counts AND {_FRESH}
ON CONFLICT (book_id, reference, digest, copy) DO NOTHING"""  # noqa: S608 - constants of ours


async def take_in(
    db: AsyncConnection,
    *,
    mapping: SavedMapping,
    name: str,
    sha256: bytes,
    rows: Iterable[PartnerRow],
    actor: str,
    now: datetime,
    again: bool = False,
) -> TakenIn:
    """Take in a file's rows and return what became of them.

    What a file says of a reference replaces what was said of it before; a row of nothing takes it
    back. The same bytes, or the same rows in any order, change nothing; neither do rows that a
    later file has corrected, unless `again`. Raises Malformed for a name that is none.
    """
    named(actor)
    await lock_book(db, mapping.book_id)
    before = await _before(db, mapping, sha256)
    if before is not None and not again:
        return before
    said = await _copy(db, rows)
    facts: dict[str, Any] = {"book_id": mapping.book_id, "again": again}
    await db.execute(text(_NAMED))
    await db.execute(text(_STALE), facts)
    await db.execute(text("ANALYZE reconciliation_named"))
    facts["file_id"] = file_id = await _keep(
        db,
        {
            "code": mapping.code,
            "version": mapping.version,
            "book_id": mapping.book_id,
            "name": name,
            "sha256": sha256,
            "now": now,
            "actor": actor,
        },
    )
    gone = (await db.execute(text(_SUPERSEDE), facts)).scalars().all()
    await undo_superseded(db, row_ids=gone, now=now)
    revived = (await db.execute(text(_REVIVE), facts)).rowcount
    added = (await db.execute(text(_ADD), facts)).rowcount
    stale = await db.scalar(
        text(
            "SELECT count(*) FROM reconciliation_named n JOIN reconciliation_stale USING (known_as)"
        )
    )
    counts = {
        "added": added + revived,
        "superseded": len(gone),
        "stale": stale or 0,
        "unchanged": said - added - revived - (stale or 0),
        "file_id": file_id,
    }
    await db.execute(
        text("""
          UPDATE reconciliation_file SET added = :added, superseded = :superseded, stale = :stale,
            unchanged = :unchanged WHERE file_id = :file_id"""),
        counts,
    )
    await db.execute(text("ANALYZE reconciliation_partner_row"))
    return TakenIn(**counts, replayed=False)


async def _before(db: AsyncConnection, mapping: SavedMapping, sha256: bytes) -> TakenIn | None:
    row = (
        await db.execute(
            text("""
              SELECT file_id, added, unchanged, superseded, stale FROM reconciliation_file
              WHERE code = :code AND version = :version AND sha256 = :sha256"""),
            {"code": mapping.code, "version": mapping.version, "sha256": sha256},
        )
    ).first()
    return None if row is None else TakenIn(**row._asdict(), replayed=True)


async def _copy(db: AsyncConnection, rows: Iterable[PartnerRow]) -> int:
    for table in ("said", "named", "stale"):
        await db.execute(text(f"DROP TABLE IF EXISTS pg_temp.reconciliation_{table}"))
    await db.execute(text(_SAID))
    raw: Any = (await db.get_raw_connection()).driver_connection
    records = (tuple(getattr(row, column) for column in _COLUMNS) for row in rows)
    await raw.copy_records_to_table("reconciliation_said", records=records, columns=_COLUMNS)
    return await db.scalar(text("SELECT count(*) FROM reconciliation_said")) or 0


async def _keep(db: AsyncConnection, facts: dict[str, Any]) -> int:
    """Keep that the file came; taken in again, it is the file that it was."""
    file_id: int = (
        await db.execute(
            text("""
              INSERT INTO reconciliation_file (code, version, book_id, name, sha256, received_at,
                received_by, added, unchanged, superseded, stale, refused)
              VALUES (:code, :version, :book_id, :name, :sha256, :now, :actor, 0, 0, 0, 0, 0)
              ON CONFLICT (code, version, sha256) DO UPDATE SET received_at = excluded.received_at
              RETURNING file_id"""),
            facts,
        )
    ).scalar_one()
    return file_id
