"""What a system knows of a person, as a fact: each state of it is one of its own."""

from datetime import datetime

from hub.connector.canonical import CanonicalEvent, EventType, FactKey, Party
from hub.connector.dialect import trading_day, version_at
from hub.connector.plug import Connection


def profile_fact(
    party: Party,
    connection: Connection,
    *,
    changed_at: datetime,
    version: int | None = None,
    entity: str = "customer",
    entity_id: str | None = None,
) -> CanonicalEvent:
    """Return the state of `party` that came about at `changed_at`, named by its version.

    Without a `version` of the system's own the time is it, and the party's id the entity's.
    """
    if version is None:
        version = version_at(changed_at)
    return CanonicalEvent(
        type=EventType.PROFILE_CHANGED,
        fact=FactKey("profile", f"{party.external_id}@{version}"),
        occurred_at=changed_at,
        business_date=trading_day(connection, None, changed_at),
        entity=entity,
        entity_id=entity_id or party.external_id or "",
        source_version=version,
        parties=(party,),
    )
