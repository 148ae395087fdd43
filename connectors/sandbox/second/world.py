"""The second world as a whole: its plot, and everybody who tells it."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

from connectors.sandbox.delivery import Delivery
from connectors.sandbox.second.apaleo import Apaleo
from connectors.sandbox.second.canonical import Canonical
from connectors.sandbox.second.ohip import Ohip
from connectors.sandbox.second.opentravel import OpenTravel
from connectors.sandbox.second.plot import Plot
from connectors.sandbox.second.teller import Teller
from connectors.sandbox.second.toast import Toast
from connectors.sandbox.second.woocommerce import WooCommerce
from connectors.sandbox.second.youzan import Youzan

SIZE = 16
TELLERS: tuple[type[Teller], ...] = (
    WooCommerce,
    Youzan,
    Toast,
    Apaleo,
    Ohip,
    OpenTravel,
    Canonical,
)


class Second:
    """A few days of one business on each system; `size` bills, and as many visits."""

    def __init__(self, seed: int, today: date, size: int = SIZE) -> None:
        self.plot = Plot(seed=seed, today=today, size=size)
        self.tellers: Mapping[str, Teller] = {one.system: one(self.plot) for one in TELLERS}

    @property
    def deliveries(self) -> list[Delivery]:
        """What all of them send, each in order."""
        return [one for teller in self.tellers.values() for one in teller.deliveries]

    def summary(self) -> dict[str, Any]:
        """Return what there is, in numbers."""
        return {
            "size": self.plot.size,
            "deliveries": dict(Counter(one.system for one in self.deliveries)),
            "expected": {name: dict(one.expected) for name, one in self.tellers.items()},
        }
