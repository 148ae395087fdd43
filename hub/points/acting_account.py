"""Which account points are moved on, when the caller does not say."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.queries import accounts_of


async def acting_account(
    db: AsyncConnection, *, member_id: int, business_id: int, elsewhere: bool = False
) -> int | None:
    """Return the member's oldest account at the business, or None.

    `elsewhere`: without one there, the oldest account anywhere in the group.
    """
    accounts = (await accounts_of(db, member_ids=[member_id])).get(member_id, [])
    here = [one.account_id for one in accounts if one.business_id == business_id]
    if elsewhere and not here:
        here = [one.account_id for one in accounts]
    return here[0] if here else None
