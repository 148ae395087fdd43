"""Bring a database to the newest schema, or say where it stands."""

from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import await_only


def _config(database_url: str | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "migrations:")
    if database_url is not None:
        config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Apply what is missing. Blocking; two at once wait for each other.

    Raises what the database raises; a failed revision leaves the database as it was.
    """
    command.upgrade(_config(database_url), revision)


def head() -> str:
    """Return the newest revision this code knows."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    if found is None:
        raise RuntimeError("the migrations are missing from this installation")
    return found


def execute_script(connection: Connection, script: str) -> None:
    """Run a frozen SQL file of several statements in the current transaction."""
    raw: Any = connection.connection.driver_connection
    await_only(raw.execute(script))


async def current(db: AsyncConnection) -> str | None:
    """Return the revision that the database is at, or None for an empty one."""
    exists = await db.scalar(text("SELECT to_regclass('alembic_version')"))
    if exists is None:
        return None
    revision: str | None = await db.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
