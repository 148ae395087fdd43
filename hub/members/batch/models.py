"""The model of a full run, stored for the runs that follow."""

from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.matching import population
from hub.members.matching.population import Population
from hub.members.matching.training import Model


@dataclass(frozen=True, slots=True)
class Learnt:
    """Weights, what is common, and how many accounts may share a key of each pass.

    `key_version` is the blind index's, from whose key values are marked.
    """

    model: Model
    population: Population
    limits: list[int]
    key_version: int
    accounts: int
    """How many it was learnt from."""
    model_id: int | None = None
    made_at: datetime | None = None


async def store(db: AsyncConnection, *, learnt: Learnt, now: datetime) -> int:
    """Store what a full run learnt; returns its number. Older models stay until no run has them."""
    weights = {**population.dump(learnt.model), "limits": learnt.limits}
    stored = await db.scalar(
        text("""
          INSERT INTO match_model (made_at, accounts, key_version, weights, frequencies)
          VALUES (:now, :accounts, :key_version, CAST(:weights AS jsonb), :frequencies)
          RETURNING model_id"""),
        {
            "now": now,
            "accounts": learnt.accounts,
            "key_version": learnt.key_version,
            "weights": orjson.dumps(weights).decode(),
            "frequencies": learnt.population.pack(),
        },
    )
    return int(stored or 0)


async def latest(db: AsyncConnection, *, key_version: int) -> Learnt | None:
    """Return the latest model, if it was made under this version of the blind index's key."""
    row = (
        await db.execute(
            text("""
              SELECT model_id, made_at, accounts, key_version, weights, frequencies FROM match_model
              ORDER BY model_id DESC LIMIT 1""")
        )
    ).first()
    if row is None or row.key_version != key_version:
        return None
    return Learnt(
        model=population.load(row.weights),
        population=Population.unpack(bytes(row.frequencies)),
        limits=[int(limit) for limit in row.weights["limits"]],
        key_version=row.key_version,
        accounts=row.accounts,
        model_id=row.model_id,
        made_at=row.made_at,
    )
