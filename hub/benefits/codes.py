"""Codes: whether what is named is part of the programme at all, in force or not."""

from collections.abc import Sequence
from typing import TypeAlias

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

Coded: TypeAlias = tuple[str, str]
"""What something is, one of TABLES, and its code."""

TABLES = {
    "ladder": "ladder",
    "tier": "tier",
    "benefit": "benefit",
    "campaign": "voucher_campaign",
    "reward": "reward",
}


async def known_codes(db: AsyncConnection, coded: Sequence[Coded]) -> dict[Coded, bool]:
    """Return which of these are there; a statement for each kind of thing."""
    found = dict.fromkeys(coded, False)
    for kind in dict.fromkeys(kind for kind, _ in coded):
        rows = await db.scalars(
            text(f"SELECT code FROM {TABLES[kind]} WHERE code = ANY (CAST(:codes AS text[]))"),  # noqa: S608 - a table of ours
            {"codes": [code for of, code in coded if of == kind]},
        )
        found.update({(kind, code): True for code in rows})
    return found
