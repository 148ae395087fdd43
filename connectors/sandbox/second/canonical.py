"""The second world as a system of the group's own tells it: the hub's canonical form."""

import json
from datetime import datetime
from typing import Any

from connectors.sandbox.people import Person
from connectors.sandbox.second.plot import GivenBack, Sale
from connectors.sandbox.second.teller import Teller
from connectors.sandbox.writing import text


class Canonical(Teller):
    """A shop's till. Nothing can be asked of it: a call that is not answered is sent again."""

    system = "canonical"

    def tell(self) -> None:
        """Send each sale and each refund; some sales twice, in a later version."""
        for sale in self.plot.sales:
            self.expected.update(sale=1, refund=len(sale.given_back))
            self._send(sale.at, "sale.completed", self._sale(sale, version=1))
            if sale.noticed:
                self._send(sale.at, "sale.completed", self._sale(sale, version=2))
            for back in sale.given_back:
                self._send(back.at, "refund.recorded", self._refund(sale, back))

    def _send(self, at: datetime, kind: str, data: dict[str, Any]) -> None:
        self.send(at, json.dumps({"type": kind, "data": data}, ensure_ascii=False).encode())

    def _sale(self, sale: Sale, *, version: int) -> dict[str, Any]:
        told: dict[str, Any] = {
            "id": f"S-{sale.number}",
            "version": version,
            "occurred_at": sale.at.isoformat(),
            "currency": "CNY",
            "total": text(sale.minor),
            "lines": [
                {"id": str(i), "name": item.name, "amount": text(item.minor)}
                for i, item in enumerate(sale.items)
            ],
            "tenders": [{"kind": "card", "amount": text(sale.minor)}],
        }
        return told if sale.person is None else {**told, "customer": _customer(sale.person)}

    def _refund(self, sale: Sale, back: GivenBack) -> dict[str, Any]:
        return {
            "id": f"R-{back.number}",
            "sale": f"S-{sale.number}",
            "occurred_at": back.at.isoformat(),
            "currency": "CNY",
            "amount": text(sale.worth(back)),
            "lines": [
                {"id": f"b{i}", "amount": text(sale.items[i].minor), "reverses": str(i)}
                for i in back.items
            ],
            "tenders": [{"kind": "card", "amount": text(sale.worth(back))}],
        }


def _customer(person: Person) -> dict[str, Any]:
    return {
        "id": f"C-{person.number}",
        "phone": person.phone,
        "name": person.family + person.given,
        "verified": ["phone"],
    }
