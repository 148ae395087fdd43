"""Verify: is the chain of read audits as it was written, from its first row to its last?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.audit.anchor import Anchor, anchors
from hub.audit.chain import START, Read, row_hash, signature
from hub.crypto.errors import KeyUnknown
from hub.crypto.keyring import Keyring

CHUNK_ROWS = 10_000

_ROWS = text("""
SELECT seq, member_id, read_at, key_version, subject, role, attribute, hash FROM read_audit
WHERE seq > :after ORDER BY seq LIMIT :limit
""")
_HEAD = text("SELECT seq, key_version, hash, signature FROM read_audit_head")


@dataclass(frozen=True, slots=True)
class Verified:
    """How many rows were found, and what is wrong first, if anything: a row's number and why."""

    rows: int
    seq: int | None = None
    wrong: str | None = None


async def verify(db: AsyncConnection, *, keyring: Keyring, kept: Sequence[Anchor] = ()) -> Verified:
    """Compute the chain anew and compare it with its head, its anchors and those `kept` elsewhere.

    Run it in a transaction that sees one state throughout (REPEATABLE READ) while others append.
    Who can write to the database and has no audit key can at most put back an older end of the
    chain together with the head and the anchors of then: only an anchor kept elsewhere tells that.
    """
    head = (await db.execute(_HEAD)).one_or_none()
    if head is None:
        return Verified(0, 0, "the head is missing")
    promised: dict[int, Anchor] = {}
    for one in (*await anchors(db), *kept):
        if not _is_signed(keyring, one):
            return Verified(0, one.seq, f"this installation did not sign the anchor of {one.day}")
        promised[one.seq] = one
    rows, previous = 0, START
    while chunk := (await db.execute(_ROWS, {"after": rows, "limit": CHUNK_ROWS})).all():
        for row in chunk:
            if row.seq != rows + 1:
                return Verified(rows, rows + 1, "the row is missing")
            wrong = _row_wrong(keyring, row, previous)
            if wrong is None and row.seq in promised and promised[row.seq].hash != row.hash:
                wrong = f"the row is not the one anchored on {promised[row.seq].day}"
            if wrong is not None:
                return Verified(rows, row.seq, wrong)
            rows, previous = row.seq, row.hash
    return _end_wrong(keyring, head, rows, previous, max(promised, default=0))


def _row_wrong(keyring: Keyring, row: Any, previous: bytes) -> str | None:
    read = Read(
        member_id=row.member_id,
        attribute=row.attribute,
        subject=row.subject,
        role=row.role,
        read_at=row.read_at,
    )
    try:
        due = row_hash(keyring, read, seq=row.seq, key_version=row.key_version, previous=previous)
    except KeyUnknown as unknown:
        return unknown.message
    return None if due == row.hash else "the row is not what was written"


def _end_wrong(keyring: Keyring, head: Any, rows: int, last: bytes, anchored: int) -> Verified:
    reached = max(head.seq, anchored)
    if reached > rows:
        return Verified(rows, rows + 1, f"the row is missing: there were {reached}")
    if rows == head.seq == 0:
        return Verified(0)
    if (head.seq, head.hash) != (rows, last) or not _is_signed(keyring, head):
        return Verified(rows, rows, "the head does not belong to the chain's last row")
    return Verified(rows)


def _is_signed(keyring: Keyring, end: Any) -> bool:
    try:
        due = signature(keyring, seq=end.seq, hash_=bytes(end.hash), key_version=end.key_version)
    except KeyUnknown:
        return False
    return due == bytes(end.signature)
