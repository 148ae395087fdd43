"""Numbers that the hub has given to a system, seen again in what that system says."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Hint, HintType
from hub.crypto import served_numbers
from hub.crypto.keyring import Keyring
from hub.errors import NotFound
from hub.members.identifiers import Identifier
from hub.members.join import own_number


def is_served(hint: Hint) -> bool:
    """Say whether a hint is a number of the hub's own, or pretends to be."""
    return hint.type is HintType.LOYALTY_ID and served_numbers.is_served(hint.value)


async def own_numbers(
    db: AsyncConnection,
    *,
    seen: Iterable[tuple[str, Hint]],
    now: datetime,
    keyring: Keyring,
) -> Mapping[tuple[str, str], Identifier]:
    """Return the members' own identifiers behind numbers, by connection (its code) and number.

    What was not given to that connection, or to somebody who was erased since, is left out.
    """
    whose = {
        (connection, hint.value): member_id
        for connection, hint in seen
        if is_served(hint)
        and (member_id := served_numbers.read(keyring, hint.value, connection=connection))
        is not None
    }
    known: dict[int, Identifier] = {}
    for member_id in sorted(set(whose.values())):
        try:
            known[member_id] = await own_number(db, member_id=member_id, now=now, keyring=keyring)
        except NotFound:
            continue
    return {seen_as: known[member_id] for seen_as, member_id in whose.items() if member_id in known}
