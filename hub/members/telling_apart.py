"""What tells two people apart: a name, a birthday, or what a person has one of for life. Pure."""

from collections.abc import Iterable, Sequence

from hub.members import names
from hub.members.identifiers import Identifier, Kind
from hub.members.people import Person, Seen

_FOR_LIFE = (Kind.UNIONID, Kind.ID_DOCUMENT)


def are_two(seen: Seen, person: Person | None, other: Person) -> bool:
    """Whether who is seen, a person already known or not, cannot be `other`.

    What is not known of either tells nothing.
    """
    reading = seen.reading
    called = [reading.name] if reading.name is not None else []
    born = [reading.birthday] if reading.birthday is not None else []
    shown = {one.kind: one for one in reading.verified}
    if person is not None:
        called += person.names
        born += person.birthdays
        shown |= {kind: claim.identifier for (kind, _), claim in person.held.items()}
    return (
        names_apart(called, other.names)
        or birthdays_apart(born, other.birthdays)
        or any(_differ(shown.get(kind), other, kind) for kind in _FOR_LIFE)
    )


def names_apart(some: Sequence[str], others: Sequence[str]) -> bool:
    """Whether none of the names fits any of the others: people are known by several."""
    return (
        bool(some)
        and bool(others)
        and all(names.contradicts(one, other) for one in some for other in others)
    )


def birthdays_apart(some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether both have birthdays and none in common; of one without its year, the days."""
    days = {one[-5:] for one in some}, {one[-5:] for one in others}
    full = {one for one in some if len(one) == 10}, {one for one in others if len(one) == 10}
    return any(bool(a and b) and not a & b for a, b in (days, full))


def _differ(shown: Identifier | None, other: Person, kind: Kind) -> bool:
    held = other.holding(kind)
    return (
        shown is not None
        and bool(held)
        and all(claim.identifier.digest not in shown.digests for claim in held)
    )
