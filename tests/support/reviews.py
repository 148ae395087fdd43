"""People in doubt, and what staff decide of them: what the tests of reviews share."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Hint, HintType
from hub.crypto.keyring import Keyring
from hub.intake.accept_review import accept_review
from hub.intake.mark_not_the_same import mark_not_the_same
from hub.intake.merge_members import merge_members
from hub.intake.reject_review import reject_review
from hub.intake.split_members import split_members
from hub.intake.undo_review import undo_review
from hub.members.queries import current_members
from hub.members.resolve import Resolved, Sighting, resolve
from hub.members.review.items import ReviewItem, read_review

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring.generate()
PHONE, OTHER_PHONE = "+8613910203040", "+8613800138000"


class Desk:
    """A database with three businesses, and staff who decide on what is in doubt there."""

    def __init__(self, db: AsyncConnection) -> None:
        self.db = db

    async def see(self, business: int, external: str, day: int = 0, **said: str) -> Resolved:
        """Have a business see somebody; `phone_said` is an unverified phone."""
        hints = tuple(
            Hint(
                type=HintType(key.removesuffix("_said")),
                value=value,
                verified=not key.endswith("_said") and key not in ("name", "birthday"),
            )
            for key, value in said.items()
        )
        sighting = Sighting(
            business_id=business,
            external_id=external,
            hints=hints,
            seen_at=NOW + timedelta(days=day),
        )
        [found] = await resolve(self.db, people=[sighting], now=NOW, keyring=KEYRING)
        assert found.member_id is not None
        assert found.account_id is not None
        return found

    async def open(self) -> list[ReviewItem]:
        """Return what is open, oldest first."""
        ids = await self.db.scalars(
            text("SELECT review_id FROM review_item WHERE state = 'open' ORDER BY 1")
        )
        return [await read_review(self.db, review_id=one) for one in ids.all()]

    async def only(self) -> ReviewItem:
        [item] = await self.open()
        return item

    async def item(self, review_id: int) -> ReviewItem:
        return await read_review(self.db, review_id=review_id)

    async def accept(self, item: ReviewItem, **said: Any) -> ReviewItem:
        return await accept_review(self.db, review_id=item.review_id, **_by(said))

    async def reject(self, item: ReviewItem, **said: Any) -> ReviewItem:
        return await reject_review(self.db, review_id=item.review_id, **_by(said))

    async def not_same(self, item: ReviewItem, **said: Any) -> ReviewItem:
        return await mark_not_the_same(self.db, review_id=item.review_id, **_by(said))

    async def undo(self, item: ReviewItem, **said: Any) -> ReviewItem:
        return await undo_review(self.db, review_id=item.review_id, **_by(said))

    async def merge(self, *members: int | None, **said: Any) -> None:
        ids = [one for one in members if one is not None]
        await merge_members(self.db, member_ids=ids, method="staff", **_by(said))

    async def split(self, member: int | None, *accounts: int | None) -> None:
        ids = [one for one in accounts if one is not None]
        facts = {"actor": "ann", "now": NOW, "reason": "two people"}
        await split_members(self.db, member_id=member or 0, account_ids=ids, **facts)

    async def whose(self, *accounts: Resolved) -> list[int]:
        """Return which member each account is now."""
        return [
            await self.db.scalar(
                text("SELECT account_holder(:account)"), {"account": one.account_id}
            )
            for one in accounts
        ]

    async def are_one(self, *people: Resolved) -> bool:
        ids = [one.member_id for one in people if one.member_id is not None]
        return len(set((await current_members(self.db, member_ids=ids)).values())) == 1


def _by(said: dict[str, Any]) -> dict[str, Any]:
    return {"actor": "ann", "now": NOW, **said}
