"""Batches of codes, as they stand. A batch's codes are `codes_of_batch`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch, page_of
from hub.errors import NotFound

# What is made of a batch is summed for the rows of a page alone.
_BATCHES = """
SELECT b.batch_id, b.name, c.code AS campaign_code, b.wanted, coalesce((
    SELECT sum(codes) FROM voucher_block k WHERE k.batch_id = b.batch_id), 0)::bigint AS made,
  b.created_at
FROM voucher_batch b JOIN voucher_terms t USING (terms_id)
JOIN voucher_campaign c USING (campaign_id)"""
NEWEST_BATCHES = Keyset((Column("batch_id", int),), descending=True)
"""The newest first."""
_FILTERS = {"campaign": "c.code = :campaign"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch of vouchers that belonged to nobody when made: `made` of `wanted` are there."""

    batch_id: int
    name: str
    campaign_code: str
    wanted: int
    made: int
    created_at: datetime


async def batch_named(db: AsyncConnection, *, name: str) -> Batch:
    """Return a batch by its name; raises NotFound."""
    rows = await db.execute(text(f"{_BATCHES} WHERE b.name = :name"), {"name": name})
    row = rows.first()
    if row is None:
        raise NotFound(f"there is no batch {name!r}", field="batch")
    return Batch(**row._asdict())


async def batch_page(
    db: AsyncConnection, *, only: Mapping[str, Any], stretch: Stretch
) -> list[Batch]:
    """Return batches by NEWEST_BATCHES; `only` says of which `campaign`, by its code."""
    ending, facts = page_of(NEWEST_BATCHES, stretch, only=only, filters=_FILTERS)
    rows = await db.execute(text(f"{_BATCHES} {ending}"), facts)
    return [Batch(**row._asdict()) for row in rows]
