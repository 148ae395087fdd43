"""Reads of clients, and of what has ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.scopes import Role, Scope
from hub.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One of a client's secrets; itself it is nowhere."""

    secret_id: int
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A system that calls for itself, and the secrets of it that still live."""

    client_id: str
    name: str
    role: Role
    business: str | None
    scopes: frozenset[Scope]
    generation: int
    created_at: datetime
    created_by: str
    disabled_at: datetime | None
    disabled_by: str | None
    secrets: Sequence[Secret] = ()


_CLIENTS = """
SELECT c.client_id, c.name, c.role, b.code AS business, c.scopes, c.generation, c.created_at,
  c.created_by, c.disabled_at, c.disabled_by
FROM api_client c LEFT JOIN business b USING (business_id)
"""


async def clients(
    db: AsyncConnection, *, now: datetime, client_id: str | None = None
) -> list[Client]:
    """Return all clients, or the one, by their ids, with their live secrets, the newest first."""
    wanted = {"client_id": client_id}
    rows = await db.execute(
        text(f"""{_CLIENTS} WHERE CAST(:client_id AS text) IS NULL OR client_id = :client_id
          ORDER BY client_id"""),
        wanted,
    )
    found = await db.execute(
        text("""
          SELECT client_id, secret_id, created_at, created_by, expires_at, last_used_at
          FROM api_client_secret
          WHERE (CAST(:client_id AS text) IS NULL OR client_id = :client_id)
            AND (expires_at IS NULL OR expires_at > :now)
          ORDER BY secret_id DESC"""),
        {**wanted, "now": now},
    )
    held: dict[str, list[Secret]] = {}
    for row in found:
        facts = row._asdict()
        held.setdefault(facts.pop("client_id"), []).append(Secret(**facts))
    return [
        Client(
            **{
                **row._asdict(),
                "role": Role(row.role),
                "scopes": frozenset(map(Scope, row.scopes)),
                "secrets": held.get(row.client_id, ()),
            }
        )
        for row in rows
    ]


async def client(db: AsyncConnection, *, client_id: str, now: datetime) -> Client:
    """Return one client; raises NotFound."""
    found = await clients(db, now=now, client_id=client_id)
    if not found:
        raise NotFound(f"there is no client {client_id!r}", field="client_id")
    return found[0]


async def generations(db: AsyncConnection) -> dict[str, int | None]:
    """Return the generation whose tokens hold, by client; None for one that is disabled."""
    rows = await db.execute(text("SELECT client_id, generation, disabled_at FROM api_client"))
    return {row.client_id: None if row.disabled_at else row.generation for row in rows}


async def ended_sessions(
    db: AsyncConnection, *, now: datetime, within: timedelta
) -> frozenset[int]:
    """Return the sessions that ended a short while ago: tokens of them may still be about."""
    rows = await db.scalars(
        text("SELECT session_id FROM member_session WHERE ended_at > :since"),
        {"since": now - within},
    )
    return frozenset(rows)
