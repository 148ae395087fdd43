"""The second world as OPERA Cloud has it: a queue that forgets, folio postings by code, profiles.

Its events are in the queue, 20 a call, and in the stream; a relay of the streaming API sends the
same ones to the hub.
"""

import base64
import json
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from connectors.sandbox.people import Person
from connectors.sandbox.second.accounts import (
    HOTEL,
    OHIP_APP,
    OHIP_CLIENT,
    OHIP_QUEUE,
    OHIP_SECRET,
)
from connectors.sandbox.second.ohip_stream import Stream
from connectors.sandbox.second.plot import Visit
from connectors.sandbox.second.teller import Teller
from connectors.sandbox.stage import ZONE
from connectors.sandbox.trouble import Troubles
from connectors.sandbox.writing import number, to_json

_TOKEN = "sandbox-ohip-token"  # noqa: S105
_STATUS = {"stayed": "CheckedOut", "cancelled": "Cancelled", "no_show": "NoShow"}
_ACTION = {"stayed": "CHECK OUT", "cancelled": "CANCEL RESERVATION", "no_show": "NO SHOW"}
_FACT = {"stayed": "stay", "cancelled": "stay_cancelled", "no_show": "stay_no_show"}
_MOST_EVENTS = 20


class Ohip(Teller):
    """A hotel. What is late or given back was posted before check-out: OPERA says no time. Code
    2500 is what the restaurant charged to the room.
    """

    system = "ohip"

    def tell(self) -> None:
        """Send what happens to each reservation and profile, and put it into the queue too."""
        self.visits = {str(visit.number): visit for visit in self.plot.visits}
        self.guests = {_profile_id(one.person): one.person for one in self.plot.visits}
        events = []
        for name, visit in self.visits.items():
            self.expected.update({_FACT[visit.outcome]: 1})
            if visit.rebate_minor:
                self.expected.update(refund=1)
            booked, ended = visit.arrival - timedelta(days=9), _ended_at(visit)
            self.changed[name] = ended
            guest = _profile_id(visit.person)
            events += [
                (booked, "PROFILE", "NEW PROFILE", guest),
                (booked, "RESERVATION", "NEW RESERVATION", name),
                (ended, "RESERVATION", _ACTION[visit.outcome], name),
            ]
        for event in sorted(events):
            self._stream(*event)
        self.queue = deque(_queued(*event) for event in sorted(events))

    def _stream(self, at: datetime, module: str, action: str, key: str) -> None:
        event = {
            "metadata": {
                "offset": str(len(self.deliveries)),
                "uniqueEventId": self.id("event", len(self.deliveries)),
            },
            "moduleName": module,
            "eventName": action,
            "primaryKey": key,
            "hotelId": HOTEL,
            "timestamp": _time(at),
            "detail": [],
        }
        message = {"id": "1", "type": "next", "payload": {"data": {"newEvent": event}}}
        self.send(at, json.dumps(message).encode())

    def _reservation(self, name: str) -> dict[str, Any]:
        visit = self.visits[name]
        guest = {"profileIdList": [{"id": _profile_id(visit.person), "type": "Profile"}]}
        return {
            "reservationIdList": [
                {"id": name, "type": "Reservation"},
                {"id": f"9{name}", "type": "Confirmation"},
            ],
            "roomStay": {
                "arrivalDate": _day(visit.arrival),
                "departureDate": _day(visit.departure),
                "roomRates": [{"roomType": "DLXK", "pseudoRoom": False}],
            },
            "reservationGuests": [{"profileInfo": guest, "primary": True}],
            "cancellation": {"date": _day(_ended_at(visit))}
            if visit.outcome == "cancelled"
            else None,
            "hotelId": HOTEL,
            "reservationStatus": _STATUS[visit.outcome],
            "lastModifyDateTime": _time(self.changed[name]),
        }

    def _postings(self, visit: Visit) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []

        def post(code: str, minor: int, at: datetime, **more: Any) -> None:
            side = "debitAmount" if minor >= 0 else "creditAmount"
            found.append(
                {
                    "transactionNo": visit.number * 100 + len(found),
                    "transactionCode": code,
                    "transactionType": "Revenue",
                    "transactionDate": _day(at),
                    "revenueDate": _day(at),
                    "postingDate": _time(at),
                    side: {"amount": number(abs(minor)), "currencyCode": "CNY"},
                    **more,
                }
            )

        if visit.outcome != "stayed":
            return found
        for night in range(visit.nights):
            post("1000", visit.rate_minor, visit.arrival + timedelta(days=night, hours=8))
        for code, minor in (("2500", visit.dinner_minor), ("2100", visit.late_minor)):
            if minor:
                check = self.plot.check_number(visit) if code == "2500" else None
                post(code, minor, visit.arrival + timedelta(hours=5), checkNumber=check)
        if visit.rebate_minor:
            room = visit.number * 100
            post("1000", -visit.rate_minor, visit.departure, referenceTransactionNo=room)
        owed = visit.minor + visit.late_minor - (visit.rate_minor if visit.rebate_minor else 0)
        if owed:
            post("9000", -owed, visit.departure, transactionType="Payment")
        return found

    def routes(self) -> Sequence[Route]:
        """Return the gateway."""
        return (
            Route("/oauth/v1/tokens", self.token, methods=["POST"]),
            Route(
                f"/int/v1/externalSystem/{OHIP_QUEUE}/hotels/{HOTEL}/businessEvents", self.events
            ),
            Route(f"/rsv/v1/hotels/{HOTEL}/reservations", self.search),
            Route(f"/rsv/v1/hotels/{HOTEL}/reservations/{{id}}", self.reservation),
            Route(f"/csh/v1/hotels/{HOTEL}/reservations/{{id}}/folios", self.folios),
            Route("/crm/v1/profiles/{id}", self.profile),
        )

    def sockets(self, troubles: Troubles) -> Sequence[WebSocketRoute]:
        """Return the stream of the same events."""
        messages = [delivery.body for delivery in self.deliveries]
        self.stream = Stream(messages, app_key=OHIP_APP, token=_TOKEN, troubles=troubles)
        return (WebSocketRoute("/subscriptions", self.stream.serve),)

    async def token(self, request: Request) -> Response:
        """Give a token for client credentials, to whoever has the app key too."""
        basic = base64.b64encode(f"{OHIP_CLIENT}:{OHIP_SECRET}".encode()).decode()
        given = request.headers.get("authorization"), request.headers.get("x-app-key")
        if given != (f"Basic {basic}", OHIP_APP):
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        return JSONResponse({"access_token": _TOKEN, "expires_in": 3600})

    async def events(self, request: Request) -> Response:
        """Take events off the queue, at most 20, and forget them."""
        if not _is_known(request):
            return Response(status_code=401)
        count = min(int(request.query_params.get("limit", "20")), _MOST_EVENTS, len(self.queue))
        return _answer(request, {"businessEventData": [self.queue.popleft() for _ in range(count)]})

    async def search(self, request: Request) -> Response:
        """List reservations by the day of their last change."""
        asked = request.query_params
        start = asked.get("lastModifyStartDate", "")
        names = [name for name, at in self.changed.items() if _day(at) >= start]
        offset, limit = int(asked.get("offset", "0")), int(asked.get("limit", "20"))
        page = [self._reservation(name) for name in names[offset : offset + limit]]
        more = len(names) > offset + limit
        return _answer(request, {"reservations": {"reservationInfo": page, "hasMore": more}})

    async def reservation(self, request: Request) -> Response:
        """Return a reservation."""
        name = request.path_params["id"]
        found = [self._reservation(name)] if name in self.visits else []
        return _answer(request, {"reservations": {"reservation": found}})

    async def folios(self, request: Request) -> Response:
        """Return a reservation's only folio window."""
        visit = self.visits.get(request.path_params["id"])
        postings = self._postings(visit) if visit else []
        window = {"folioWindowNo": 1, "folios": [{"postings": postings}]}
        inner = {"folioWindows": [window] if postings else []}
        return _answer(request, {"reservationFolioInformation": inner, "trxCodesInfo": []})

    async def profile(self, request: Request) -> Response:
        """Return a guest's profile."""
        person = self.guests.get(request.path_params["id"])
        return _answer(request, {"profileDetails": _profile(person)} if person else {})


def _queued(at: datetime, module: str, action: str, key: str) -> dict[str, Any]:
    header = {
        "moduleName": module.capitalize(),
        "actionType": action,
        "primaryKey": key,
        "createdDateTime": _time(at),
        "hotelId": HOTEL,
    }
    return {"businessEvent": {"header": header, "details": []}}


def _profile(person: Person) -> dict[str, Any]:
    name = {"givenName": person.given, "surname": person.family, "nameType": "Primary"}
    phone = {"telephone": {"phoneTechType": "MOBILE", "phoneNumber": person.phone}}
    return {
        "customer": {"personName": [name], "birthDate": person.birthday.isoformat()},
        "profileType": "Guest",
        "lastModifyDateTime": "2026-01-05 10:00:00.0",
        "telephones": {"telephoneInfo": [phone]},
        "emails": {"emailInfo": [{"email": {"emailAddress": person.email}}]},
    }


def _is_known(request: Request) -> bool:
    headers = request.headers
    given = headers.get("authorization"), headers.get("x-app-key"), headers.get("x-hotelid")
    return given == (f"Bearer {_TOKEN}", OHIP_APP, HOTEL)


def _answer(request: Request, document: dict[str, Any]) -> Response:
    if not _is_known(request):
        return Response(status_code=401)
    return Response(to_json(document), media_type="application/json")


def _profile_id(person: Person) -> str:
    return str(70_000 + person.number)


def _ended_at(visit: Visit) -> datetime:
    if visit.outcome == "cancelled":
        return visit.arrival - timedelta(hours=30)
    return visit.departure if visit.outcome == "stayed" else visit.arrival + timedelta(hours=11)


def _day(instant: datetime) -> str:
    return instant.astimezone(ZONE).date().isoformat()


def _time(instant: datetime) -> str:
    return instant.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S.0")
