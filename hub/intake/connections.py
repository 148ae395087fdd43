"""Configured connections: which connector speaks for which business, with which secrets."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Connection, Connector, connector, read_as
from hub.crypto.delivery import open_sealed, seal
from hub.crypto.keyring import Keyring
from hub.errors import HubError, NotFound, Unavailable
from hub.programme.queries import business_by_code

_FRESH = timedelta(seconds=5)
# Who is not known is looked for again, but not at every request of someone who guesses names.
_LOOK_AGAIN = timedelta(seconds=0.5)

log = structlog.get_logger(__name__)


class ConnectionConfig(BaseModel):
    """A connection as it is configured. `secrets`: the current one first, then the previous."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    business: str
    connector: str
    secrets: list[str] = Field(min_length=1)
    config: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """A connection with everything the host needs: its connector, business and configuration."""

    connection_id: int
    code: str
    business_id: int
    connector: Connector
    plug: Connection


async def connect(db: AsyncConnection, *, config: ConnectionConfig, keyring: Keyring) -> None:
    """Add a connection, or change its configuration and secrets.

    Raises NotFound for an unknown business or connector and Malformed, naming the field, when the
    connector's own configuration is wrong, or the business has no shop.
    """
    business = (await business_by_code(db, config.business)).with_a_shop()
    read_as(connector(config.connector).spec.config, config.config)
    settings = orjson.dumps({"config": config.config, "secrets": config.secrets})
    await db.execute(
        text("""
          INSERT INTO connection (code, business_id, connector, settings)
          VALUES (:code, :business_id, :connector, :settings)
          ON CONFLICT (code) DO UPDATE SET business_id = excluded.business_id,
            connector = excluded.connector, settings = excluded.settings, active = true"""),
        {
            "code": config.code,
            "business_id": business.business_id,
            "connector": config.connector,
            "settings": seal(keyring, settings, context=settings_place(config.code)),
        },
    )


_CONNECTIONS = """
SELECT c.connection_id, c.code, c.business_id, c.connector, c.settings, c.active, b.currency,
  b.time_zone, b.day_starts_at_hour
FROM connection c JOIN business b USING (business_id)"""


async def wired_by_code(db: AsyncConnection, code: str, *, keyring: Keyring) -> Wired:
    """Return the active connection called `code`, for who asks once: no other's secrets are opened.

    Raises NotFound, and Unavailable where it cannot be used.
    """
    found = None
    if code.isprintable():
        rows = await db.execute(
            text(f"{_CONNECTIONS} WHERE c.active AND c.code = :code"), {"code": code}
        )
        found = rows.first()
    if found is None:
        raise _unknown(code)
    return _usable(_try_to_wire(found, keyring))


class Switchboard:
    """The connections, read anew when they are some seconds old or one is asked for in vain.

    One that cannot be used (its connector is not installed, its settings do not open) raises
    Unavailable when it is asked for, and takes no other down.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._read_at: datetime | None = None
        self._by_code: dict[str, Wired | Unavailable] = {}
        self._by_id: dict[int, Wired | Unavailable] = {}

    async def by_code(self, db: AsyncConnection, code: str, *, now: datetime) -> Wired:
        """Return the active connection called `code`; raises NotFound or Unavailable."""
        await self._refresh(db, now, _FRESH)
        if code not in self._by_code:
            await self._refresh(db, now, _LOOK_AGAIN)
        if code not in self._by_code:
            raise _unknown(code)
        return _usable(self._by_code[code])

    async def usable(self, db: AsyncConnection, *, now: datetime) -> list[Wired]:
        """Return the active connections that can be used."""
        await self._refresh(db, now, _FRESH)
        return [found for found in self._by_code.values() if isinstance(found, Wired)]

    async def by_id(self, db: AsyncConnection, connection_id: int, *, now: datetime) -> Wired:
        """Return a connection, active or not: what was accepted is still worked on.

        Raises Unavailable.
        """
        await self._refresh(db, now, _FRESH)
        if connection_id not in self._by_id:
            await self._refresh(db, now, timedelta(0))
        return _usable(self._by_id[connection_id])

    async def _refresh(self, db: AsyncConnection, now: datetime, older_than: timedelta) -> None:
        if self._read_at is not None and now - self._read_at < older_than:
            return
        rows = await db.execute(text(_CONNECTIONS))
        active: dict[str, Wired | Unavailable] = {}
        known: dict[int, Wired | Unavailable] = {}
        for row in rows:
            wired = _try_to_wire(row, self._keyring)
            known[row.connection_id] = wired
            if row.active:
                active[row.code] = wired
        self._by_code, self._by_id, self._read_at = active, known, now


def _unknown(code: str) -> NotFound:
    return NotFound(f"there is no connection {code!r}", connection=code)


def _usable(found: Wired | Unavailable) -> Wired:
    if isinstance(found, Unavailable):
        raise Unavailable(found.message, **found.facts)
    return found


def _try_to_wire(row: Any, keyring: Keyring) -> Wired | Unavailable:
    try:
        return _wire(row, keyring)
    except HubError as failure:
        log.error("connection_unusable", connection=row.code, reason=failure.message)
        return Unavailable(f"connection {row.code} cannot be used now", connection=row.code)


def _wire(row: Any, keyring: Keyring) -> Wired:
    settings = orjson.loads(open_sealed(keyring, row.settings, context=settings_place(row.code)))
    dialect = connector(row.connector)
    return Wired(
        connection_id=row.connection_id,
        code=row.code,
        business_id=row.business_id,
        connector=dialect,
        plug=Connection(
            connection_id=row.code,
            config=read_as(dialect.spec.config, settings["config"]),
            secrets=settings["secrets"],
            time_zone=row.time_zone,
            currency=row.currency,
            day_starts_at_hour=row.day_starts_at_hour,
        ),
    )


def settings_place(code: str) -> str:
    """Return the place that a connection's settings are sealed for."""
    return f"connection|settings|{code}"
