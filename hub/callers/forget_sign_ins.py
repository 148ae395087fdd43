"""Forget what a member signs in with, and when they did."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_FORGET = tuple(
    text(f"DELETE FROM {table} WHERE member_id = ANY (CAST(:members AS bigint[]))")  # noqa: S608
    for table in ("passkey_challenge", "passkey", "member_session")
)


async def forget_sign_ins(db: AsyncConnection, *, member_ids: Sequence[int]) -> None:
    """Delete passkeys and sessions of members, refresh tokens with them."""
    for statement in _FORGET:
        await db.execute(statement, {"members": list(member_ids)})
