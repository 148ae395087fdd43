"""The second world as Apaleo has it: thin events, reservations and the folios beside them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sandbox.second.accounts import APALEO_CLIENT, APALEO_SECRET, PROPERTY
from connectors.sandbox.second.plot import Visit
from connectors.sandbox.second.teller import Teller
from connectors.sandbox.writing import number, to_json

RESTAURANT_ACCOUNT = "RESTAURANT"
"""The sub-account of what the restaurant charged to the room."""
_TOKEN = "sandbox-apaleo-token"  # noqa: S105
_STATUS = {"stayed": "CheckedOut", "cancelled": "Canceled", "no_show": "NoShow"}
_KIND = {"stayed": "checked-out", "cancelled": "canceled", "no_show": "set-to-no-show"}
_FACT = {"stayed": "stay", "cancelled": "stay_cancelled", "no_show": "stay_no_show"}
_FEE = 30_000
_VAT_PERCENT = 6


class Apaleo(Teller):
    """A hotel. Every event says only which reservation or folio to ask for."""

    system = "apaleo"

    def tell(self) -> None:
        """Send what happens to each reservation, and to its folio after check-out."""
        self.visits = {_reservation_id(visit): visit for visit in self.plot.visits}
        self.folios = {f"{name}-1": visit for name, visit in self.visits.items()}
        for name, visit in self.visits.items():
            ended = _ended_at(visit)
            self.expected.update({_FACT[visit.outcome]: 1})
            self._send(visit.arrival - timedelta(days=9), "reservation", "created", name)
            self._send(ended, "reservation", _KIND[visit.outcome], name)
            last = ended
            for minor, kind in ((visit.late_minor, "sale"), (visit.rebate_minor, "refund")):
                if minor:
                    last = _after(visit)
                    self.expected.update({kind: 1})
                    self._send(last, "folio", "charge-posted", f"{name}-1")
            self.changed[name] = last

    def _send(self, at: datetime, topic: str, kind: str, entity_id: str) -> None:
        event = {
            "topic": topic,
            "type": kind,
            "id": self.id("event", len(self.deliveries)),
            "timestamp": int(at.timestamp() * 1000),
            "accountId": "SANDBOX",
            "propertyId": PROPERTY,
            "data": {"entityId": entity_id},
        }
        self.send(at, json.dumps(event).encode())

    def _reservation(self, name: str) -> dict[str, Any]:
        visit = self.visits[name]
        ended = _ended_at(visit)
        person = visit.person
        return {
            "id": name,
            "bookingId": name.partition("-")[0],
            "status": _STATUS[visit.outcome],
            "property": {"id": PROPERTY, "name": "Lakeside"},
            "channelCode": "Direct",
            "arrival": _time(visit.arrival),
            "departure": _time(visit.departure),
            "created": _time(visit.arrival - timedelta(days=9)),
            "modified": _time(ended),
            "checkInTime": _time(visit.arrival) if visit.outcome == "stayed" else None,
            "checkOutTime": _time(ended) if visit.outcome == "stayed" else None,
            "cancellationTime": _time(ended) if visit.outcome == "cancelled" else None,
            "noShowTime": _time(ended) if visit.outcome == "no_show" else None,
            "primaryGuest": {
                "firstName": person.given,
                "lastName": person.family,
                "email": person.email,
                "phone": person.phone,
                "birthDate": person.birthday.isoformat(),
            },
        }

    def _folio(self, folio_id: str) -> dict[str, Any]:
        visit = self.folios[folio_id]
        charges: list[dict[str, Any]] = []

        def charge(kind: str, service: str, minor: int, at: datetime, **more: str) -> None:
            charges.append(
                {
                    "id": f"{folio_id}-C{len(charges)}",
                    "type": kind,
                    "serviceType": service,
                    "isPosted": True,
                    "created": _time(at),
                    "quantity": 1,
                    "amount": _amount(minor),
                    **more,
                }
            )

        if visit.outcome == "stayed":
            for night in range(visit.nights):
                at = visit.arrival + timedelta(days=night, hours=8)
                charge("TimeSlice", "Accommodation", visit.rate_minor, at)
            if visit.dinner_minor:
                at = visit.arrival + timedelta(hours=5)
                charge(
                    "ExtraService",
                    "FoodAndBeverages",
                    visit.dinner_minor,
                    at,
                    subAccountId=RESTAURANT_ACCOUNT,
                )
            if visit.late_minor:
                charge("ExtraService", "FoodAndBeverages", visit.late_minor, _after(visit))
        elif visit.outcome == "no_show":
            charge("NoShowFee", "NoShow", _FEE, _ended_at(visit))
        return {
            "id": folio_id,
            "type": "Guest",
            "reservation": {"id": folio_id.rpartition("-")[0]},
            "charges": charges,
            "allowances": self._allowances(visit, folio_id),
            "payments": self._payments(visit, folio_id),
        }

    def _allowances(self, visit: Visit, folio_id: str) -> list[dict[str, Any]]:
        if not visit.rebate_minor:
            return []
        return [
            {
                "id": f"{folio_id}-A0",
                "serviceType": "Accommodation",
                "created": _time(_after(visit)),
                "amount": _amount(visit.rebate_minor),
                "sourceChargeId": f"{folio_id}-C0",
            }
        ]

    def _payments(self, visit: Visit, folio_id: str) -> list[dict[str, Any]]:
        if visit.outcome != "stayed":
            return []
        paid_at = visit.departure - timedelta(minutes=5)
        return [
            {
                "id": f"{folio_id}-P0",
                "method": "VisaCredit",
                "amount": {"amount": number(visit.minor), "currency": "CNY"},
                "paymentDate": _time(paid_at),
            }
        ]

    def routes(self) -> Sequence[Route]:
        """Return the identity server and the APIs."""
        return (
            Route("/connect/token", self.token, methods=["POST"]),
            Route("/inventory/v1/properties", self.properties),
            Route("/booking/v1/reservations", self.reservations),
            Route("/booking/v1/reservations/{id}", self.reservation),
            Route("/finance/v1/folios", self.list_folios),
            Route("/finance/v1/folios/{id}", self.folio),
        )

    async def token(self, request: Request) -> Response:
        """Give a token for client credentials."""
        form = parse_qs((await request.body()).decode())
        given = form.get("client_id"), form.get("client_secret")
        if given != ([APALEO_CLIENT], [APALEO_SECRET]):
            return JSONResponse({"error": "invalid_client"}, status_code=400)
        return JSONResponse({"access_token": _TOKEN, "expires_in": 3600, "token_type": "Bearer"})

    async def properties(self, request: Request) -> Response:
        """List the properties."""
        return _answer(request, {"properties": [{"id": PROPERTY, "name": "Lakeside"}], "count": 1})

    async def reservations(self, request: Request) -> Response:
        """List reservations by their last change, in the order of their creation."""
        wanted = request.query_params.get("status", "").split(",")
        found = [
            self._reservation(name)
            for name in self._since(request.query_params.get("from"))
            if _STATUS[self.visits[name].outcome] in wanted
        ]
        return _page(request, "reservations", found)

    async def reservation(self, request: Request) -> Response:
        """Return a reservation."""
        name = request.path_params["id"]
        return _answer(request, self._reservation(name) if name in self.visits else None)

    async def list_folios(self, request: Request) -> Response:
        """List folios, of some reservations or by their last change, without what is on them."""
        asked = request.query_params.get("reservationIds")
        names = asked.split(",") if asked else self._since(request.query_params.get("updatedFrom"))
        found = [
            {"id": f"{name}-1", "type": "Guest", "reservation": {"id": name}}
            for name in names
            if name in self.visits
        ]
        return _page(request, "folios", found)

    async def folio(self, request: Request) -> Response:
        """Return a folio with all that is on it."""
        folio_id = request.path_params["id"]
        return _answer(request, self._folio(folio_id) if folio_id in self.folios else None)

    def _since(self, start: str | None) -> list[str]:
        return [name for name, at in self.changed.items() if start is None or _time(at) >= start]


def _page(request: Request, key: str, found: Sequence[dict[str, Any]]) -> Response:
    asked = request.query_params
    size, page = int(asked.get("pageSize", "100")), int(asked.get("pageNumber", "1"))
    cut = found[(page - 1) * size : page * size]
    return _answer(request, {key: cut, "count": len(found)} if cut else {})


def _answer(request: Request, document: dict[str, Any] | None) -> Response:
    """A list in which nothing is has no body."""
    if request.headers.get("authorization") != f"Bearer {_TOKEN}":
        return Response(status_code=401)
    if document is None:
        return JSONResponse({"messages": ["not found"]}, status_code=404)
    if not document:
        return Response(status_code=204)
    return Response(to_json(document), media_type="application/json")


def _amount(minor: int) -> dict[str, Any]:
    vat = minor * _VAT_PERCENT // (100 + _VAT_PERCENT)
    return {
        "grossAmount": number(minor),
        "netAmount": number(minor - vat),
        "vatType": "Normal",
        "vatPercent": _VAT_PERCENT,
        "currency": "CNY",
    }


def _reservation_id(visit: Visit) -> str:
    return f"B{visit.number}-1"


def _ended_at(visit: Visit) -> datetime:
    """Return when a visit was over, or when it was clear that there would be none."""
    if visit.outcome == "stayed":
        return visit.departure
    return visit.arrival + timedelta(hours=11 if visit.outcome == "no_show" else -30)


def _after(visit: Visit) -> datetime:
    return visit.departure + timedelta(hours=2)


def _time(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
