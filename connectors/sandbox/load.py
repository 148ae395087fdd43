"""As many distinct Shopify orders as a benchmark wants, quickly."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from connectors.sandbox.delivery import Delivery, identifier
from connectors.sandbox.people import people
from connectors.sandbox.shop import place_order, shop_customer

_FIRST_NUMBER = 990_000_000


def orders(count: int, *, at: datetime, seed: int = 7) -> Iterator[Delivery]:
    """Yield `count` paid orders a second apart from `at` on, of two hundred customers in turn.

    The same seed gives the same orders; another seed gives others, with other numbers.
    """
    random = Random(seed)  # noqa: S311  (a game, not a secret)
    customers = [shop_customer(person, at) for person in people(random)]
    for n in range(count):
        placed_at = at + timedelta(seconds=n)
        number = _FIRST_NUMBER + seed * 1_000_000 + n
        order = place_order(random, number, placed_at, customers[n % len(customers)])
        yield Delivery(
            system="shopify",
            sent_at=placed_at,
            body=json.dumps(order.document(placed_at), ensure_ascii=False).encode(),
            topic="orders/paid",
            transport_id=identifier("load", seed, n),
        )
