"""Anchor: keep the signed head of a day, and hand it to be kept where the database is not."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """That the chain once ended with row `seq`, signed. Days are UTC."""

    day: date
    seq: int
    key_version: int
    hash: bytes
    signature: bytes

    def line(self) -> str:
        """Return it as a line of an anchor file."""
        parts = (self.day, self.seq, self.key_version, self.hash.hex(), self.signature.hex())
        return " ".join(map(str, parts))


async def anchor(db: AsyncConnection, *, day: date, now: datetime) -> Anchor | None:
    """Keep the head as it is now as the anchor of `day`; None when nothing was ever read.

    A day has one anchor: asked again, the first is returned.
    """
    await db.execute(
        text("""
          INSERT INTO read_audit_anchor (day, seq, key_version, hash, signature, anchored_at)
          SELECT :day, seq, key_version, hash, signature, :now FROM read_audit_head WHERE seq > 0
          ON CONFLICT (day) DO NOTHING"""),
        {"day": day, "now": now},
    )
    found = [one for one in await anchors(db) if one.day == day]
    return found[0] if found else None


async def head(db: AsyncConnection, *, day: date) -> Anchor | None:
    """Return the head as it is now, to be kept elsewhere; None when nothing was ever read."""
    row = (
        await db.execute(
            text("SELECT seq, key_version, hash, signature FROM read_audit_head WHERE seq > 0")
        )
    ).one_or_none()
    return None if row is None else Anchor(day=day, **row._asdict())


async def anchors(db: AsyncConnection) -> list[Anchor]:
    """Return all anchors, oldest first."""
    rows = await db.execute(
        text("""
          SELECT day, seq, key_version, hash, signature FROM read_audit_anchor ORDER BY day""")
    )
    return [Anchor(**row._asdict()) for row in rows]


def read_anchor(line: str) -> Anchor:
    """Read a line of an anchor file; raises Malformed."""
    try:
        day, seq, version, hash_, signed = line.split()
        return Anchor(
            day=date.fromisoformat(day),
            seq=int(seq),
            key_version=int(version),
            hash=bytes.fromhex(hash_),
            signature=bytes.fromhex(signed),
        )
    except ValueError:
        raise Malformed(
            f"{line[:60]!r} is no line that `hub audit anchor` wrote", field="anchors"
        ) from None
