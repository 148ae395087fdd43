"""Process: a batch of stored deliveries becomes facts, and each new fact has its effect once."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.tiers.promote import promote
from hub.connector import FactKey, Refused
from hub.crypto.keyring import Keyring
from hub.errors import HubError
from hub.intake import effects, facts
from hub.intake.deliveries import Opened, close_all
from hub.intake.fact import Fact
from hub.intake.facts import SourceKey
from hub.intake.found import note_found
from hub.intake.shred import shred_of_erased
from hub.programme.queries import programme


async def process(
    db: AsyncConnection, *, deliveries: Sequence[Opened], now: datetime, keyring: Keyring
) -> None:
    """Map decoded and hydrated deliveries, post what is new, and close them with their outcome.

    A delivery that cannot be mapped becomes a dead letter that names the field; it keeps none of
    the others back. Errors of the effects are raised: the caller tries the deliveries one by one.
    """
    entities = {
        SourceKey(delivery.wired.connection_id, event.entity, event.entity_id)
        for delivery in deliveries
        for event in delivery.events
    }
    known = await facts.of_entities(db, entities)
    found: dict[SourceKey, Fact] = {}
    for delivery in deliveries:
        for fact in _map(delivery, known):
            found.setdefault(fact.key, fact)
    if found:
        await facts.lock(db, {name for fact in found.values() for name in fact.names()})
        posted = await facts.find(db, list(found))
        new = [fact for key, fact in found.items() if key not in posted]
        moved = await effects.post(db, new=new, now=now, keyring=keyring)
        await note_found(db, new=new, deliveries=deliveries, now=now)
        if moved:
            group = await programme(db)
            await promote(db, member_ids=sorted(moved), now=now, time_zone=group.time_zone)
    await close_all(db, deliveries=deliveries, now=now)
    records = {
        (d.delivery_id, SourceKey(d.wired.connection_id, event.entity, event.entity_id))
        for d in deliveries
        for event in d.events
    }
    await shred_of_erased(db, records=records, now=now)


def _map(delivery: Opened, known: dict[SourceKey, set[FactKey]]) -> list[Fact]:
    """Return the delivery's facts. All or none: one wrong event makes it a dead letter.

    Of a page that was pulled the good events have their effect all the same: they came together by
    chance, and its dead letter, replayed after a fix, adds the rest. An event that is refused says
    why, and matters only when no other of the delivery is a fact.
    """
    if delivery.verdict is not None:
        return []
    wired = delivery.wired
    mapped: list[Fact] = []
    refusals: list[Refused] = []
    for event in delivery.events:
        entity = SourceKey(wired.connection_id, event.entity, event.entity_id)
        try:
            for canonical in wired.connector.map(event, known.get(entity, ()), wired.plug):
                mapped.append(Fact(wired=wired, delivery_id=delivery.delivery_id, event=canonical))
        except Refused as refusal:
            refusals.append(refusal)
        except HubError as said:
            delivery.verdict = said
            if not delivery.is_page:
                return []
    if refusals and len(refusals) == len(delivery.events):
        delivery.verdict = refusals[0]
    return mapped
