"""Stored deliveries: opened for work, and closed with what came of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import NotYet, Refused, SourceEvent, as_text, parse_json
from hub.crypto.delivery import open_sealed, seal
from hub.crypto.keyring import Keyring
from hub.errors import HubError
from hub.intake.connections import Switchboard, Wired
from hub.intake.store import BODY_CONTEXT

SNAPSHOTS_CONTEXT = "delivery|snapshots"
LONGEST_REASON = 500


@dataclass(slots=True, kw_only=True)
class Opened:
    """A delivery in the clear, with its events once decoded, or why it has none."""

    delivery_id: int
    wired: Wired
    topic: str | None
    body: bytes
    snapshots: dict[str, Any]
    origin: str = "push"
    stream_id: int | None = None
    events: list[SourceEvent] = field(default_factory=list)
    verdict: HubError | None = None
    fetched: bool = False
    postponed: NotYet | None = None

    @property
    def is_page(self) -> bool:
        """Say whether it was pulled or read from a file: its events are together by chance."""
        return self.origin != "push"

    @property
    def is_thin(self) -> bool:
        """Say whether an upstream must be asked what happened."""
        return any(event.snapshot is None for event in self.events)

    def decode(self) -> None:
        """Read the body; a HubError is kept as the verdict."""
        try:
            self.events = list(self.wired.connector.decode(self.body, self.topic))
        except HubError as said:
            self.verdict = said


async def open_all(
    db: AsyncConnection,
    *,
    delivery_ids: Sequence[int],
    switchboard: Switchboard,
    keyring: Keyring,
    now: datetime,
) -> list[Opened]:
    """Read, decrypt and decode pending deliveries, in the order of their arrival."""
    rows = await db.execute(
        text("""
          SELECT delivery_id, connection_id, topic, body, snapshots, origin, stream_id
          FROM delivery
          WHERE delivery_id = ANY(CAST(:ids AS bigint[])) AND state = 'pending'
          ORDER BY delivery_id"""),
        {"ids": list(delivery_ids)},
    )
    opened = []
    for row in rows.all():
        wired = await switchboard.by_id(db, row.connection_id, now=now)
        snapshots = {}
        if row.snapshots is not None:
            place = f"{SNAPSHOTS_CONTEXT}|{row.delivery_id}"
            snapshots = parse_json(open_sealed(keyring, row.snapshots, context=place))
        delivery = Opened(
            delivery_id=row.delivery_id,
            wired=wired,
            topic=row.topic,
            body=open_sealed(keyring, row.body, context=f"{BODY_CONTEXT}|{wired.code}"),
            snapshots=snapshots,
            origin=row.origin,
            stream_id=row.stream_id,
        )
        delivery.decode()
        opened.append(delivery)
    return opened


async def keep_snapshots(
    db: AsyncConnection, *, snapshots: Mapping[int, bytes], keyring: Keyring
) -> None:
    """Keep what was fetched for thin deliveries: their evidence, and what a replay works on."""
    if snapshots:
        sealed = [
            seal(keyring, found, context=f"{SNAPSHOTS_CONTEXT}|{delivery_id}")
            for delivery_id, found in snapshots.items()
        ]
        await db.execute(
            text("""
              UPDATE delivery d SET snapshots = x.sealed
              FROM unnest(CAST(:ids AS bigint[]), CAST(:sealed AS bytea[])) AS x (id, sealed)
              WHERE d.delivery_id = x.id"""),
            {"ids": list(snapshots), "sealed": sealed},
        )


async def close_all(db: AsyncConnection, *, deliveries: Sequence[Opened], now: datetime) -> None:
    """Record what came of each: done, refused with a reason, or a dead letter naming the field."""
    await _close(db, [(d.delivery_id, *_outcome(d.verdict)) for d in deliveries], now)


async def _close(
    db: AsyncConnection,
    rows: Sequence[tuple[int, str, str | None, str | None, str | None]],
    now: datetime,
) -> None:
    if rows:
        ids, states, codes, reasons, fields = map(list, zip(*rows, strict=True))
        await db.execute(
            text("""
              UPDATE delivery d SET state = x.state, reason_code = x.code, reason = x.reason,
                reason_field = x.field, finished_at = :now
              FROM unnest(CAST(:ids AS bigint[]), CAST(:states AS text[]), CAST(:codes AS text[]),
                CAST(:reasons AS text[]), CAST(:fields AS text[])) AS x(id, state, code, reason,
                field)
              WHERE d.delivery_id = x.id"""),
            {
                "ids": ids,
                "states": states,
                "codes": codes,
                "reasons": reasons,
                "fields": fields,
                "now": now,
            },
        )


async def close_as(
    db: AsyncConnection, *, delivery_id: int, verdict: HubError, now: datetime
) -> None:
    """Close one delivery with a verdict reached outside of its own decoding."""
    await _close(db, [(delivery_id, *_outcome(verdict))], now)


def _outcome(verdict: HubError | None) -> tuple[str, str | None, str | None, str | None]:
    if verdict is None:
        return ("done", None, None, None)
    named = verdict.facts.get("field")
    state = "refused" if isinstance(verdict, Refused) else "dead"
    # A reason may quote what came in, and what came in may be anything.
    reason = as_text(verdict.message)[:LONGEST_REASON]
    return (state, verdict.code, reason, None if named is None else as_text(str(named)))
