"""Mentions: which stored deliveries tell of a person. Bodies are sealed, so each is opened."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import SourceEvent, parse_json
from hub.connector.registry import connector
from hub.crypto.delivery import open_sealed
from hub.crypto.errors import KeyUnknown, Undecipherable
from hub.crypto.keyring import Keyring
from hub.errors import HubError
from hub.intake.deliveries import SNAPSHOTS_CONTEXT
from hub.intake.store import BODY_CONTEXT

CHUNK_DELIVERIES = 500
# How many are opened before others' requests have their turn: some milliseconds.
_AT_ONCE = 20
# Shorter numbers and words are found in bodies that have nothing to do with the person.
SHORTEST_WORD = 6

_ENTITIES = text("""
SELECT DISTINCT connection_id, entity, entity_id FROM business_fact
WHERE account_id = ANY (CAST(:accounts AS bigint[]))
""")
_DELIVERIES = text("""
SELECT d.delivery_id, d.connection_id, c.code, c.connector, b.code AS business, d.topic, d.state,
  d.received_at, d.body, d.snapshots
FROM delivery d JOIN connection c USING (connection_id) JOIN business b USING (business_id)
WHERE d.connection_id IN (SELECT c.connection_id FROM connection c
    JOIN account a USING (business_id) WHERE a.account_id = ANY (CAST(:accounts AS bigint[])))
  AND d.delivery_id > :after AND d.shredded_at IS NULL
ORDER BY d.delivery_id LIMIT :limit
""")
_APART = re.compile(r"[\s().-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A delivery that tells of a person, with those of its events that are theirs.

    `events` is empty where the body could not be read as events: then it only has their words.
    """

    delivery_id: int
    connection: str
    topic: str | None
    state: str
    received_at: Any
    events: tuple[SourceEvent, ...] = field(default=(), repr=False)


class Telling:
    """What tells of one person wherever it is written, if it has SHORTEST_WORD characters or more.

    `identifiers` do, however they are grouped and whatever stands around them; `external_ids`, of
    the businesses' systems, unless they are part of something longer.
    """

    def __init__(self, identifiers: Collection[str], external_ids: Collection[str]) -> None:
        self._words = [word.casefold() for word in identifiers if len(word) >= SHORTEST_WORD]
        ids = (re.escape(one.casefold()) for one in external_ids if len(one) >= SHORTEST_WORD)
        # A number of six digits is found in many a telephone number.
        self._ids = re.compile(rf"(?<![^\W_])(?:{'|'.join(ids) or '(?!)'})(?![^\W_])")

    def in_(self, body: bytes) -> bool:
        """Say whether a body holds any of it."""
        plain = body.decode(errors="replace").casefold()
        close = _APART.sub("", plain)
        if any(word in plain or word in close for word in self._words):
            return True
        return self._ids.search(plain) is not None


async def mentions(
    db: AsyncConnection,
    *,
    account_ids: Collection[int],
    telling: Telling,
    keyring: Keyring,
    unopened: Counter[str] | None = None,
) -> AsyncIterator[Mention]:
    """Yield the deliveries to these accounts' businesses that tell of their person, oldest first.

    A delivery does if it is of a record that a fact of the accounts was read from, or if its body
    is `telling`. All bodies of these businesses are opened, at about a tenth of a millisecond each.

    Of whom one tells that cannot be opened nobody can say: Undecipherable or KeyUnknown is raised,
    unless `unopened` is given; then it is counted there under its business's code, and passed over.
    Where the snapshots alone cannot be opened, it is counted too, and told without them.
    """
    accounts = {"accounts": list(account_ids)}
    entities = {tuple(row) for row in await db.execute(_ENTITIES, accounts)}
    after = 0
    while True:
        page = {**accounts, "after": after, "limit": CHUNK_DELIVERIES}
        rows = (await db.execute(_DELIVERIES, page)).all()
        for place, row in enumerate(rows):
            if place % _AT_ONCE == 0:
                await asyncio.sleep(0)
            body, fetched = None, {}
            with _counted(unopened, row.business):
                body = open_sealed(keyring, row.body, context=f"{BODY_CONTEXT}|{row.code}")
                fetched = _fetched(row, keyring)
            if body is None:
                continue
            theirs = tuple(
                event
                for event in _events(row, body, fetched)
                if (row.connection_id, event.entity, event.entity_id) in entities
            )
            if theirs or telling.in_(body):
                yield Mention(
                    delivery_id=row.delivery_id,
                    connection=row.code,
                    topic=row.topic,
                    state=row.state,
                    received_at=row.received_at,
                    events=theirs,
                )
        if len(rows) < CHUNK_DELIVERIES:
            return
        after = rows[-1].delivery_id


@contextmanager
def _counted(unopened: Counter[str] | None, business: str) -> Iterator[None]:
    """Count a delivery that cannot be opened, if that is asked for."""
    try:
        yield
    except (Undecipherable, KeyUnknown):
        if unopened is None:
            raise
        unopened[business] += 1


def _fetched(row: Any, keyring: Keyring) -> dict[str, Any]:
    """Return the snapshots that were fetched for a delivery's thin events."""
    if row.snapshots is None:
        return {}
    place = f"{SNAPSHOTS_CONTEXT}|{row.delivery_id}"
    fetched: dict[str, Any] = parse_json(open_sealed(keyring, row.snapshots, context=place))
    return fetched


def _events(row: Any, body: bytes, fetched: Mapping[str, Any]) -> list[SourceEvent]:
    """Read a delivery's events, with the snapshots that were fetched for thin ones."""
    try:
        events = list(connector(row.connector).decode(body, row.topic))
    except HubError:
        return []
    if not fetched:
        return events
    return [
        event
        if event.snapshot is not None
        else SourceEvent(
            type=event.type,
            entity=event.entity,
            entity_id=event.entity_id,
            version=event.version,
            occurred_at=event.occurred_at,
            snapshot=fetched.get(f"{event.entity}:{event.entity_id}"),
        )
        for event in events
    ]
