"""Paid membership of members who become one, and of one who becomes several."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.memberships.facts import settle


async def merge_memberships(
    db: AsyncConnection, *, member_id: int, members: Sequence[int], now: datetime
) -> None:
    """Give the survivor what all have paid for: terms of one plan follow each other.

    The caller holds the members' locks (`lock_memberships`).
    """
    await db.execute(
        text("""
          UPDATE membership_fact SET member_id = :survivor
          WHERE member_id = ANY (CAST(:members AS bigint[])) AND member_id <> :survivor"""),
        {"survivor": member_id, "members": list(members)},
    )
    await settle(db, member_ids=[member_id], now=now)


async def split_memberships(
    db: AsyncConnection, *, births: Mapping[int, int], now: datetime
) -> None:
    """Give each side what it has paid for; `births` says whom each of them now is.

    The caller holds the members' locks (`lock_memberships`).
    """
    sides = sorted(set(births.values()))
    await db.execute(
        text("""
          UPDATE membership_fact f SET member_id = w.holder
          FROM unnest(CAST(:births AS bigint[]), CAST(:holders AS bigint[])) AS w (born, holder)
          WHERE f.birth_member_id = w.born AND f.member_id <> w.holder"""),
        {"births": list(births), "holders": list(births.values())},
    )
    await settle(db, member_ids=sides, now=now)
