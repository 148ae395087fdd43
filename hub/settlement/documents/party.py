"""The businesses of the group as documents name them."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A business as a document names it."""

    code: str
    name: str
    legal_name: str
    country: str


async def parties(db: AsyncConnection) -> dict[int, Party]:
    """Return all businesses by id."""
    rows = await db.execute(
        text("""
          SELECT business_id, b.code, b.name, e.name AS legal_name, country
          FROM business b JOIN legal_entity e USING (legal_entity_id) ORDER BY business_id""")
    )
    return {
        row.business_id: Party(
            code=row.code, name=row.name, legal_name=row.legal_name, country=row.country
        )
        for row in rows
    }
