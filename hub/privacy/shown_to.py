"""Shown to whom: a member's attributes, as far as the eyes of one business may see them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.keyring import Keyring
from hub.members.display import MemberView, display
from hub.privacy.consent import Purpose, may

_OWN = text("""
SELECT o.legal_entity_id, array_agg(b.business_id ORDER BY b.business_id) AS businesses
FROM business o JOIN business b USING (legal_entity_id) WHERE o.code = :code
GROUP BY o.legal_entity_id
""")


async def shown_to(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    business: str | None,
    now: datetime,
    keyring: Keyring,
) -> dict[int, MemberView]:
    """Return members as a business (by its code) may see them; unknown ids are left out.

    That is what the business and others of its legal entity were told, and what anybody was told of
    those who agreed that it is shared with that entity. `business` None: for the member's own eyes
    or for staff, who run the programme on everybody's behalf (PIPL, article 21).
    """
    if business is None:
        return await display(db, member_ids=member_ids, now=now, keyring=keyring)
    own = (await db.execute(_OWN, {"code": business})).one_or_none()
    shared = set()
    if own is not None:
        shared = await may(
            db,
            member_ids=member_ids,
            legal_entity_id=own.legal_entity_id,
            purpose=Purpose.SHARING,
        )
    views = await display(
        db,
        member_ids=[one for one in member_ids if one not in shared],
        now=now,
        keyring=keyring,
        businesses=own.businesses if own else [],
    )
    if shared:
        views |= await display(db, member_ids=sorted(shared), now=now, keyring=keyring)
    return views
