"""A business fact on its way to its effect."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hub.connector import CanonicalEvent, EventType, TenderKind
from hub.intake.connections import Wired
from hub.intake.facts import PostedFact, SourceKey

EARNS = frozenset({EventType.SALE_COMPLETED, EventType.STAY_COMPLETED})
UNDOES = frozenset({EventType.REFUND_RECORDED, EventType.SALE_VOIDED})
SHOWS_A_PERSON = EARNS | {EventType.PROFILE_CHANGED, EventType.MEMBERSHIP_PAID}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A canonical event where it came from."""

    wired: Wired
    delivery_id: int
    event: CanonicalEvent

    @property
    def key(self) -> SourceKey:
        """The fact's identity."""
        return SourceKey(self.wired.connection_id, *self.event.fact)

    @property
    def entity(self) -> SourceKey:
        """The source's own record that the fact was read from."""
        return SourceKey(self.wired.connection_id, self.event.entity, self.event.entity_id)

    @property
    def undoes(self) -> SourceKey | None:
        """The fact that this one undoes, if any."""
        if self.event.refund is not None:
            return SourceKey(self.wired.connection_id, *self.event.refund.original)
        if self.event.type is EventType.SALE_VOIDED:
            return SourceKey(self.wired.connection_id, "sale", self.event.entity_id)
        return None

    def names(self) -> Iterable[SourceKey]:
        """Everything that must stand still while this fact has its effect."""
        yield self.key
        yield from (SourceKey(self.wired.connection_id, *name) for name in self.event.references)
        if self.undoes is not None:
            yield self.undoes
        yield from (SourceKey(0, "check", number) for number in self.checks())

    def checks(self) -> set[str]:
        """The numbers of checks that were charged to rooms: this fact's own, or its folio's."""
        return {
            check_number(said)
            for said in (
                *(t.reference for t in self.event.tenders if t.kind is TenderKind.ROOM_CHARGE),
                *(line.check for line in self.event.lines),
            )
            if said is not None and self.event.type in EARNS
        }

    def posted(self, **effect: Any) -> PostedFact:
        """Return the record of this fact with its effect."""
        return PostedFact(
            key=self.key,
            type=self.event.type,
            entity=self.entity,
            delivery_id=self.delivery_id,
            **effect,
        )


def check_number(said: str) -> str:
    """Return a check's number as it compares: systems pad it, and set a mark before it."""
    bare = said.strip().lstrip("#").strip().casefold()
    return bare.lstrip("0") or bare if bare.isdigit() else bare


def idempotency_key(key: SourceKey) -> str:
    """Return the key under which the ledger knows a fact's effect."""
    return f"fact:{key.connection_id}:{key.kind}:{key.id}"
