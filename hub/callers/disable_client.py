"""Disable a client: its secrets are worth nothing from now on, its tokens end within seconds."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers.queries import Client, client


async def disable_client(
    db: AsyncConnection, *, client_id: str, actor: str, now: datetime
) -> Client:
    """End a client for good, and return it. Done before: the first answer. Raises NotFound.

    Processes that serve learn of it within `hub.entrypoints.web_callers.FRESH_SECONDS`.
    """
    await db.execute(
        text("""
          UPDATE api_client SET disabled_at = greatest(:now, created_at), disabled_by = :actor,
            generation = generation + 1
          WHERE client_id = :id AND disabled_at IS NULL"""),
        {"id": client_id, "now": now, "actor": actor},
    )
    return await client(db, client_id=client_id, now=now)
