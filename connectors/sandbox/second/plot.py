"""What happens in the second world, before any system writes it down."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Literal

from connectors.sandbox.people import Person, people
from connectors.sandbox.stage import ZONE

DAYS = 6
_DINNERS = 500_000
_PRICES = (3_800, 5_200, 8_800, 12_800, 16_900, 28_800)
_GOODS = ("亚麻衬衫", "Tea set", "清蒸鲈鱼", "Candle", "丝巾", "Noodles")
_RATES = (68_000, 88_000, 128_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something sold; what it cost holds its tax."""

    name: str
    minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBack:
    """Items that were paid back whole, by their place on the bill."""

    number: int
    at: datetime
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A bill that was paid at once; `person` is nobody for a passer-by."""

    number: int
    person: Person | None
    at: datetime
    items: tuple[Item, ...]
    given_back: tuple[GivenBack, ...] = ()
    noticed: bool = False

    @property
    def minor(self) -> int:
        """What it came to."""
        return sum(item.minor for item in self.items)

    def worth(self, back: GivenBack) -> int:
        """What was paid back."""
        return sum(self.items[i].minor for i in back.items)

    @property
    def is_gone(self) -> bool:
        """Whether all of it was paid back."""
        return sum(len(back.items) for back in self.given_back) == len(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A stay at a hotel, or none: its nights, a dinner in the house, and what came after."""

    number: int
    person: Person
    arrival: datetime
    nights: int
    rate_minor: int
    outcome: Literal["stayed", "cancelled", "no_show"] = "stayed"
    dinner_minor: int = 0
    late_minor: int = 0
    rebate_minor: int = 0

    @property
    def departure(self) -> datetime:
        """When the guest left, or meant to."""
        return self.arrival + timedelta(days=self.nights, hours=-4)

    @property
    def minor(self) -> int:
        """What the bill came to at check-out."""
        return self.rate_minor * self.nights + self.dinner_minor


@dataclass(slots=True, kw_only=True)
class Plot:
    """So many bills and so many visits, the same for the same seed; it ends before `today`."""

    seed: int
    today: date
    size: int
    people: list[Person] = field(init=False)
    sales: list[Sale] = field(init=False)
    visits: list[Visit] = field(init=False)

    def __post_init__(self) -> None:
        random = Random(self.seed)  # noqa: S311  (a game, not a secret)
        self.people = people(random)
        first = self.seed * 1_000_000 + 1
        self.sales = [self._sale(random, first + n) for n in range(self.size)]
        self.visits = [self._visit(random, first + n) for n in range(self.size)]

    def check_number(self, visit: Visit) -> int:
        """Return the number of the check that a visit's guests had charged to the room."""
        return visit.number + _DINNERS

    @property
    def dinners(self) -> list[tuple[Visit, Sale]]:
        """The dinners that guests of the hotel had charged to their rooms, as the restaurant's."""
        return [
            (
                visit,
                Sale(
                    number=self.check_number(visit),
                    person=visit.person,
                    at=visit.arrival + timedelta(hours=5),
                    items=(Item(name="Dinner", minor=visit.dinner_minor),),
                ),
            )
            for visit in self.visits
            if visit.dinner_minor
        ]

    def _at(self, random: Random, days_ago: int, hour: int) -> datetime:
        day = self.today - timedelta(days=days_ago)
        return datetime.combine(day, time(hour, random.randrange(60), random.randrange(60)), ZONE)

    def _sale(self, random: Random, number: int) -> Sale:
        at = self._at(random, random.randint(3, DAYS), random.randint(11, 21))
        items = tuple(
            Item(name=random.choice(_GOODS), minor=random.choice(_PRICES))
            for _ in range(random.choice((1, 2, 2, 3)))
        )
        passer_by = random.randrange(100) < 15
        return Sale(
            number=number,
            person=None if passer_by else self.people[number % len(self.people)],
            at=at,
            items=items,
            given_back=_given_back(random, number, at, len(items)),
            noticed=random.randrange(100) < 30,
        )

    def _visit(self, random: Random, number: int) -> Visit:
        roll = random.randrange(100)
        outcome: Literal["stayed", "cancelled", "no_show"] = (
            "stayed" if roll < 84 else "cancelled" if roll < 92 else "no_show"
        )
        stayed = outcome == "stayed"
        return Visit(
            number=number,
            person=self.people[number % len(self.people)],
            arrival=self._at(random, random.randint(4, DAYS + 2), 15),
            nights=random.choice((1, 1, 2, 3)),
            rate_minor=random.choice(_RATES),
            outcome=outcome,
            dinner_minor=random.choice((0, 0, 18_800)) if stayed else 0,
            late_minor=4_200 if stayed and random.randrange(100) < 15 else 0,
            rebate_minor=6_000 if stayed and random.randrange(100) < 15 else 0,
        )


def _given_back(random: Random, number: int, at: datetime, count: int) -> tuple[GivenBack, ...]:
    """One bill in five comes back: all of it, one item, or all of it in two parts."""
    if random.randrange(100) >= 20:
        return ()
    later = at + timedelta(days=1, minutes=random.randrange(90))
    parts: list[tuple[int, ...]] = [tuple(range(count))]
    if count > 1:
        one, rest = (0,), tuple(range(1, count))
        ways: tuple[list[tuple[int, ...]], ...] = (parts, [one], [one, rest])
        parts = random.choice(ways)
    return tuple(
        GivenBack(number=number * 10 + n, at=later + timedelta(minutes=20 * n), items=part)
        for n, part in enumerate(parts)
    )
