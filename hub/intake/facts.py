"""Business facts: each is posted once, whatever transport brings it, however often (I7)."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import EventType, FactKey


class SourceKey(NamedTuple):
    """A fact, a reference to one, or a source's own record, within its connection."""

    connection_id: int
    kind: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedFact:
    """A fact and its effect: whose it is and the ledger transaction, if it had any."""

    key: SourceKey
    type: EventType
    entity: SourceKey
    delivery_id: int
    member_id: int | None = None
    account_id: int | None = None
    tx_id: int | None = None
    waits_for: FactKey | None = None
    undo: dict[str, Any] | None = None


def _columns(keys: Iterable[SourceKey]) -> dict[str, list[object]]:
    ordered = list(keys)
    return {
        "connections": [key.connection_id for key in ordered],
        "kinds": [key.kind for key in ordered],
        "ids": [key.id for key in ordered],
    }


_KEYS = """unnest(CAST(:connections AS smallint[]), CAST(:kinds AS text[]), CAST(:ids AS text[]))
  AS x(connection_id, kind, id)"""

# Whose the fact is now: of an account that was merged or split since, whoever has it.
_WHOSE = "coalesce(account_holder(f.account_id), f.member_id) AS whose"


async def lock(db: AsyncConnection, keys: Collection[SourceKey]) -> None:
    """Wait until nobody else works on any of these facts, or on what refers to them.

    Locks are taken in one order and last until the transaction ends.
    """
    numbers = sorted(
        int.from_bytes(
            hashlib.blake2b("\0".join(map(str, key)).encode(), digest_size=8).digest(),
            signed=True,
        )
        for key in set(keys)
    )
    await db.execute(
        text("SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) AS k"),
        {"keys": numbers},
    )


async def of_entities(
    db: AsyncConnection, entities: Collection[SourceKey]
) -> dict[SourceKey, set[FactKey]]:
    """Return the facts already posted for each of the sources' own records."""
    rows = await db.execute(
        text(f"""
          SELECT f.connection_id, f.entity, f.entity_id, f.kind, f.source_id
          FROM {_KEYS} JOIN business_fact f ON f.connection_id = x.connection_id
            AND f.entity = x.kind AND f.entity_id = x.id"""),  # noqa: S608
        _columns(entities),
    )
    found: dict[SourceKey, set[FactKey]] = {}
    for row in rows:
        entity = SourceKey(row.connection_id, row.entity, row.entity_id)
        found.setdefault(entity, set()).add(FactKey(row.kind, row.source_id))
    return found


async def find(db: AsyncConnection, keys: Collection[SourceKey]) -> dict[SourceKey, PostedFact]:
    """Return the facts that `keys` name, by their own name or by another one (a payment's)."""
    if not keys:
        return {}
    rows = await db.execute(
        text(f"""
          SELECT x.connection_id AS asked_connection, x.kind AS asked_kind, x.id AS asked_id, f.*,
            {_WHOSE}
          FROM {_KEYS}
          LEFT JOIN fact_reference r ON r.connection_id = x.connection_id AND r.kind = x.kind
            AND r.source_id = x.id
          JOIN business_fact f ON f.connection_id = x.connection_id
            AND f.kind = coalesce(r.fact_kind, x.kind)
            AND f.source_id = coalesce(r.fact_id, x.id)"""),  # noqa: S608
        _columns(keys),
    )
    return {
        SourceKey(row.asked_connection, row.asked_kind, row.asked_id): _posted(row) for row in rows
    }


async def waiting_for(db: AsyncConnection, keys: Collection[SourceKey]) -> list[PostedFact]:
    """Return the facts that wait for one of `keys`, oldest first."""
    if not keys:
        return []
    rows = await db.execute(
        text(f"""
          SELECT f.*, {_WHOSE} FROM {_KEYS}
          JOIN business_fact f ON f.connection_id = x.connection_id
            AND f.waits_for_kind = x.kind AND f.waits_for_id = x.id
          ORDER BY f.posted_at, f.source_id"""),  # noqa: S608
        _columns(keys),
    )
    return [_posted(row) for row in rows]


async def record(db: AsyncConnection, facts: Sequence[PostedFact]) -> None:
    """Store facts with their effects. One that was waiting is completed and waits no more."""
    if not facts:
        return
    await db.execute(
        text("""
          INSERT INTO business_fact (connection_id, kind, source_id, type, entity, entity_id,
            delivery_id, member_id, account_id, tx_id, waits_for_kind, waits_for_id, undo)
          VALUES (:connection_id, :kind, :source_id, :type, :entity, :entity_id, :delivery_id,
            :member_id, :account_id, :tx_id, :waits_for_kind, :waits_for_id,
            CAST(:undo AS jsonb))
          ON CONFLICT (connection_id, kind, source_id) DO UPDATE SET
            member_id = excluded.member_id, account_id = excluded.account_id,
            tx_id = excluded.tx_id, waits_for_kind = NULL, waits_for_id = NULL, undo = NULL
          WHERE business_fact.waits_for_kind IS NOT NULL"""),
        [
            {
                "connection_id": fact.key.connection_id,
                "kind": fact.key.kind,
                "source_id": fact.key.id,
                "type": fact.type,
                "entity": fact.entity.kind,
                "entity_id": fact.entity.id,
                "delivery_id": fact.delivery_id,
                "member_id": fact.member_id,
                "account_id": fact.account_id,
                "tx_id": fact.tx_id,
                "waits_for_kind": fact.waits_for.kind if fact.waits_for else None,
                "waits_for_id": fact.waits_for.id if fact.waits_for else None,
                "undo": orjson.dumps(fact.undo).decode() if fact.undo else None,
            }
            for fact in facts
        ],
    )


async def refer(db: AsyncConnection, references: Sequence[tuple[SourceKey, FactKey]]) -> None:
    """Store other names of facts: `(name, fact)` within the name's connection."""
    if references:
        names = [name for name, _ in references]
        await db.execute(
            text("""
              INSERT INTO fact_reference (connection_id, kind, source_id, fact_kind, fact_id)
              SELECT * FROM unnest(CAST(:connections AS smallint[]), CAST(:kinds AS text[]),
                CAST(:ids AS text[]), CAST(:fact_kinds AS text[]), CAST(:fact_ids AS text[]))
              ON CONFLICT DO NOTHING"""),
            {
                **_columns(names),
                "fact_kinds": [fact.kind for _, fact in references],
                "fact_ids": [fact.id for _, fact in references],
            },
        )


def _posted(row: Row[Any]) -> PostedFact:
    waits_for = None
    if row.waits_for_kind is not None:
        waits_for = FactKey(row.waits_for_kind, row.waits_for_id)
    return PostedFact(
        key=SourceKey(row.connection_id, row.kind, row.source_id),
        type=EventType(row.type),
        entity=SourceKey(row.connection_id, row.entity, row.entity_id),
        delivery_id=row.delivery_id,
        member_id=row.whose,
        account_id=row.account_id,
        tx_id=row.tx_id,
        waits_for=waits_for,
        undo=row.undo,
    )
