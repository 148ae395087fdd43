"""Shown to whom: a member's attributes, as far as the eyes of one business may see them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.keyring import Keyring
from hub.db.relation import within
from hub.members.display import MemberView, display, profiles, view_of
from hub.privacy.consent import MAY, Purpose

_OWN = "SELECT legal_entity_id FROM business WHERE code = :business"
_SHARED = {
    "member_ids": "ARRAY[w.wanted]",
    "entity_id": f"({_OWN})",
    "purpose": f"'{Purpose.SHARING.value}'",
}
EVERYTHING = profiles("true")
"""What is read for the member's own eyes, and for staff."""
SHOWN = profiles(
    f"""a.business_id IN (SELECT b.business_id FROM business b WHERE b.legal_entity_id IN ({_OWN}))
        OR EXISTS ({within(MAY.sql, _SHARED.__getitem__)})"""  # noqa: S608 - constants of ours
)
"""What is read for the eyes of `:business`."""


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
    wanted = {"member_ids": list(dict.fromkeys(member_ids)), "business": business, "now": now}
    rows = await db.execute(SHOWN.statement, wanted)
    return {row.wanted: view_of(row, keyring) for row in rows}
