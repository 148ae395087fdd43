"""Open rows: what nothing has consumed yet, put aside for one step of a run."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.reconciliation.codes import Leg
from hub.reconciliation.sides import OPEN_HUB, OPEN_PARTNER, filled


async def open_rows(db: AsyncConnection, *, leg: Leg, facts: Mapping[str, Any]) -> None:
    """Put both sides' open rows of a leg aside, until this transaction ends."""
    for side, made in (("partner", OPEN_PARTNER), ("hub", OPEN_HUB)):
        await db.execute(text(f"DROP TABLE IF EXISTS pg_temp.reconciliation_open_{side}"))
        await db.execute(text(filled(made, leg)), dict(facts))
        await db.execute(text(f"ANALYZE reconciliation_open_{side}"))
