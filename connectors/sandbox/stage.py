"""Where the three stories take place: one calendar, one dice, one pile of deliveries."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from connectors.sandbox.delivery import SYSTEMS, Delivery, identifier
from connectors.sandbox.hotel import HotelStay
from connectors.sandbox.people import LI_JINGYI, Person, people
from connectors.sandbox.restaurant import Bill
from connectors.sandbox.shop import ShopOrder

ZONE = ZoneInfo("Asia/Shanghai")
DAYS = 42


@dataclass(slots=True)
class Stage:
    """What the stories share and fill. Its last day is the one before `today`."""

    seed: int
    today: date
    random: Random = field(init=False)
    people: list[Person] = field(init=False)
    deliveries: list[Delivery] = field(default_factory=list)
    orders: list[ShopOrder] = field(default_factory=list)
    stays: dict[str, HotelStay] = field(default_factory=dict)
    guests: dict[str, dict[str, Any]] = field(default_factory=dict)
    bills: list[Bill] = field(default_factory=list)
    diners: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311  (a game, not a secret)
        self.people = [*people(self.random), LI_JINGYI]
        self.counts = {system: Counter() for system in SYSTEMS}

    @property
    def end(self) -> datetime:
        """The last minute of the story."""
        return self.at(1, 23, 55)

    def at(self, days_ago: int, hour: int, minute: int = 0) -> datetime:
        """Return an instant of local time, so many days before `today`."""
        return datetime.combine(self.today - timedelta(days=days_ago), time(hour, minute), ZONE)

    def some_time(self, first_hour: int, last_hour: int, *, latest: int = 1) -> datetime:
        """Return some instant within opening hours, `latest` days ago at the latest."""
        days_ago = self.random.randint(latest, DAYS)
        hour = self.random.randint(first_hour, last_hour)
        return self.at(days_ago, hour, self.random.randrange(60))

    def after(self, instant: datetime, *, days: int = 0, minutes: int = 0) -> datetime:
        """Return a later instant, but none after the story's end."""
        return min(instant + timedelta(days=days, minutes=minutes), self.end)

    def chance(self, percent: int) -> bool:
        """Throw the dice."""
        return self.random.randrange(100) < percent

    def send(self, system: str, at: datetime, body: bytes, topic: str | None = None) -> Delivery:
        """Put a delivery on the pile."""
        delivery = Delivery(
            system=system,
            sent_at=at,
            body=body,
            topic=topic,
            transport_id=identifier(self.seed, system, len(self.deliveries)),
        )
        self.deliveries.append(delivery)
        return delivery
