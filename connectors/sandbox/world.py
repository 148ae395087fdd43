"""The world that the sandbox plays: six weeks of three businesses, the same for the same seed.

`build` returns it as data: the deliveries in the order they are sent, what each system's API
answers afterwards, and what must come of it all.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from connectors.sandbox import hotel_story, restaurant_story, shop_story
from connectors.sandbox.delivery import Delivery, identifier
from connectors.sandbox.hotel import HotelStay
from connectors.sandbox.people import LI_JINGYI, Person
from connectors.sandbox.restaurant import Bill, square_id
from connectors.sandbox.shop import ShopOrder
from connectors.sandbox.stage import Stage

LI_JINGYI_PHONE = LI_JINGYI.phone
LI_JINGYI_MEWS_ID = identifier("mews", "customer", LI_JINGYI.number)
LI_JINGYI_SQUARE_ID = square_id("customer", LI_JINGYI.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that happened. `expected` counts, per system, the facts that must come of it,
    and what they are worth in minor units.
    """

    seed: int
    today: date
    people: tuple[Person, ...]
    deliveries: tuple[Delivery, ...]
    orders: Mapping[int, ShopOrder]
    stays: Mapping[str, HotelStay]
    guests: Mapping[str, Mapping[str, Any]]
    bills: Mapping[str, Bill]
    diners: Mapping[str, Mapping[str, Any]]
    expected: Mapping[str, Mapping[str, int]]

    def summary(self) -> dict[str, Any]:
        """Return what there is, in numbers."""
        return {
            "seed": self.seed,
            "today": self.today.isoformat(),
            "from": self.deliveries[0].sent_at.date().isoformat(),
            "until": self.deliveries[-1].sent_at.date().isoformat(),
            "people": len(self.people),
            "deliveries": dict(Counter(delivery.system for delivery in self.deliveries)),
            "expected": {system: dict(counts) for system, counts in self.expected.items()},
            "tour": {
                "name": "李静怡 (Li Jingyi)",
                "phone": LI_JINGYI_PHONE,
                "mews_customer": LI_JINGYI_MEWS_ID,
                "square_customer": LI_JINGYI_SQUARE_ID,
            },
        }


def build(seed: int, today: date) -> World:
    """Let six weeks pass that end the day before `today`."""
    stage = Stage(seed, today)
    for story in (shop_story, hotel_story, restaurant_story):
        story.tell(stage)
    return World(
        seed=seed,
        today=today,
        people=tuple(stage.people),
        deliveries=tuple(sorted(stage.deliveries, key=lambda one: one.sent_at)),
        orders={order.number: order for order in stage.orders},
        stays=stage.stays,
        guests=stage.guests,
        bills={bill.order["id"]: bill for bill in stage.bills},
        diners=stage.diners,
        expected=stage.counts,
    )
