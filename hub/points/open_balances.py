"""Open balances: members come with what they had before the hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import business_date
from hub.crypto.keyring import Keyring
from hub.ledger.post import OpeningRequest, post_openings
from hub.members.resolve import Resolved, Sighting, resolve
from hub.points.opening_file import BadRow, OpeningRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a file has been imported: what its rows came to, and whether it is done."""

    rows_done: int
    posted: int
    known: int
    refused: int
    points: int
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What came of a set of rows."""

    posted: int
    known: int
    points: int
    bad: list[BadRow]


async def open_balances(
    db: AsyncConnection,
    *,
    rows: Sequence[OpeningRow],
    file_sha256: bytes,
    now: datetime,
    keyring: Keyring,
) -> Opening:
    """Post a set of a file's rows; whoever is not known yet becomes a member.

    A row is known by its reference or, without one, by its file and number: it is posted once.
    Call it once per transaction, as it resolves people.
    """
    people = [
        Sighting(business_id=r.business.business_id, external_id=r.external_id, seen_at=now)
        for r in rows
    ]
    resolved = await resolve(db, people=people, now=now, keyring=keyring)
    erased = [
        BadRow(number=row.number, field="external_id", reason="whose account this was is erased")
        for row, who in zip(rows, resolved, strict=True)
        if who.member_id is None
    ]
    known = [(row, who) for row, who in zip(rows, resolved, strict=True) if who.member_id]
    requests = [_request(row, who, file_sha256, now) for row, who in known]
    opened = await post_openings(db, requests)
    return Opening(
        posted=len(opened.posted),
        known=len(opened.known),
        points=sum(requests[place].points for place in opened.posted),
        bad=erased
        + [
            BadRow(
                number=known[place][0].number,
                field=field,
                reason="its reference was used before, for something else",
            )
            for place, field in sorted(opened.differs.items())
        ],
    )


def _request(row: OpeningRow, who: Resolved, file_sha256: bytes, now: datetime) -> OpeningRequest:
    if who.member_id is None or who.account_id is None:
        raise AssertionError("whoever has an id at a business is somebody")
    business = row.business
    name = row.reference or f"{file_sha256.hex()}:{row.number}"
    return OpeningRequest(
        business_id=business.business_id,
        idempotency_key=f"opening:{name}",
        member_id=who.member_id,
        account_id=who.account_id,
        points=row.points,
        unit=row.unit,
        cost_rate=row.cost_rate,
        expires_on=row.expires_on,
        earned_at=row.earned_at,
        occurred_at=now,
        business_date=business_date(
            now, business.time_zone, day_starts_at_hour=business.day_starts_at_hour
        ),
    )


async def begin_or_go_on(db: AsyncConnection, *, file_sha256: bytes, now: datetime) -> Progress:
    """Return how far a file has been imported, and make sure that nobody else imports it now.

    The row stays locked until the transaction ends: of two imports of one file one waits, and then
    goes on behind the other.
    """
    await db.execute(
        text("""INSERT INTO opening_import (sha256, started_at) VALUES (:sha256, :now)
          ON CONFLICT DO NOTHING"""),
        {"sha256": file_sha256, "now": now},
    )
    row = await db.execute(
        text("""
          SELECT rows_done, posted, known, refused, points, finished_at IS NOT NULL AS finished
          FROM opening_import WHERE sha256 = :sha256 FOR UPDATE"""),
        {"sha256": file_sha256},
    )
    return Progress(**row.one()._asdict())


async def note_progress(
    db: AsyncConnection, *, file_sha256: bytes, opening: Opening, now: datetime, last: bool
) -> None:
    """Note a set of rows as done, in the transaction that posted them."""
    await db.execute(
        text("""
          UPDATE opening_import SET posted = posted + :posted, known = known + :known,
            refused = refused + :refused, points = points + :points,
            rows_done = rows_done + :posted + :known + :refused,
            finished_at = CASE WHEN CAST(:last AS boolean) THEN CAST(:now AS timestamptz) END
          WHERE sha256 = :sha256"""),
        {
            "sha256": file_sha256,
            "posted": opening.posted,
            "known": opening.known,
            "refused": len(opening.bad),
            "points": opening.points,
            "last": last,
            "now": now,
        },
    )
