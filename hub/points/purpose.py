"""What points are spent on, where the till says so: agreements may price it by that."""

import re
from dataclasses import dataclass, replace

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed
from hub.ledger.codes import Outcome
from hub.ledger.post import Answer
from hub.points.answers import key_used
from hub.programme.agree import PURPOSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """An award that is redeemed, or a category of what is; as the group's agreements name them."""

    award: str | None = None
    category: str | None = None

    def checked(self) -> "Purpose | None":
        """Return it, or None when it says nothing; raises Malformed for what is no such code."""
        for field in ("award", "category"):
            code = getattr(self, field)
            if code is not None and re.fullmatch(PURPOSE, code) is None:
                raise Malformed(f"a code such as free-night was expected as {field}", field=field)
        return None if self == Purpose() else self


async def keep_purpose(db: AsyncConnection, answer: Answer, purpose: Purpose | None) -> Answer:
    """Keep what a redemption or a hold was for, and return its answer.

    Raises Conflict when its key was first used for something else.
    """
    if answer.replayed:
        stored = await _stored(db, answer)
        for field in ("award", "category"):
            if getattr(stored, field) != getattr(purpose or Purpose(), field):
                raise key_used(field, getattr(stored, field))
        return answer
    if purpose is not None and answer.outcome is Outcome.POSTED:
        await db.execute(
            text("""
              INSERT INTO redemption_purpose (member_id, tx_id, award, category)
              VALUES (:member_id, :tx_id, :award, :category)"""),
            {
                "member_id": answer.member_id,
                "tx_id": answer.tx_id,
                "award": purpose.award,
                "category": purpose.category,
            },
        )
    return answer


async def _stored(db: AsyncConnection, answer: Answer) -> Purpose:
    row = (
        await db.execute(
            text("""
              SELECT award, category FROM redemption_purpose
              WHERE member_id = :member_id AND tx_id = :tx_id"""),
            {"member_id": answer.member_id, "tx_id": answer.tx_id},
        )
    ).first()
    return replace(Purpose(), **row._asdict()) if row is not None else Purpose()
