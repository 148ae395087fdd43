"""Rank sources: which businesses are believed more on an attribute of a member."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, Malformed
from hub.programme.queries import business_by_code

RANKED = ("name", "phone", "email", "birthday")
"""Attributes whose sources can be ranked."""

_INSERT = text("""
INSERT INTO source_rank (attribute, effective_from, businesses, ranked_by)
VALUES (:attribute, :effective_from, :businesses, :ranked_by) ON CONFLICT DO NOTHING
""")
_STORED = text("""
SELECT businesses FROM source_rank
WHERE attribute = :attribute AND effective_from = :effective_from
""")


async def rank_sources(
    db: AsyncConnection,
    *,
    attribute: str,
    businesses: Sequence[str],
    effective_from: datetime,
    ranked_by: str,
) -> None:
    """Add the version that holds from `effective_from` on: codes of businesses, best first.

    Those not named come after; an empty list ranks nobody. The same version again changes nothing.
    Raises Conflict when the version of that instant says something else, NotFound for a business
    that is not there, Malformed for one named twice, an unknown attribute, an instant without
    offset.
    """
    if attribute not in RANKED:
        raise Malformed(f"an attribute is one of {', '.join(RANKED)}", field="attribute")
    if len(set(businesses)) < len(businesses):
        raise Malformed("a business has one place: it is named twice", field="businesses")
    if effective_from.utcoffset() is None:
        raise Malformed("an instant needs a UTC offset", field="effective_from")
    ids = [(await business_by_code(db, code)).business_id for code in businesses]
    key = {"attribute": attribute, "effective_from": effective_from}
    await db.execute(_INSERT, {**key, "businesses": ids, "ranked_by": ranked_by})
    if await db.scalar(_STORED, key) != ids:
        raise Conflict(
            f"the sources of the {attribute} are ranked from {effective_from} on: give the new "
            "version its own effective_from",
            field="businesses",
        )
