"""OPERA Cloud through the kit, and what only OPERA does: queues, codes, reversed check-outs."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from connectors.conformance import NOW, SINCE, Body, CannedUpstream, DialectConformance
from connectors.hotel.ohip import connector
from connectors.hotel.ohip.config import OhipConfig, kind_of
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    HintType,
    Inbound,
    LineKind,
    Outlet,
    Refused,
    Role,
    TenderKind,
)
from hub.errors import Malformed
from tests.support.mutate import FUZZ, mutant_bodies, mutants, read_calmly

RESERVATIONS = "/rsv/v1/hotels/LKS/reservations"
FOLIOS = "/csh/v1/hotels/LKS/reservations/919074/folios?limit=300&summaryOnly=false"
POSTINGS = "&fetchInstructions=Postings&fetchInstructions=Transactioncodes"
PROFILE = (
    "/crm/v1/profiles/1280812?fetchInstructions=Profile"
    "&fetchInstructions=Communication&fetchInstructions=Membership"
)
QUEUE = "/int/v1/externalSystem/HUB/hotels/LKS/businessEvents?limit=20"


def posting(number: int, code: str, amount: float, **changes: Any) -> dict[str, Any]:
    """Debit what is above zero, credit what is below."""
    side = "debitAmount" if amount >= 0 else "creditAmount"
    return {
        "transactionNo": number,
        "transactionCode": code,
        "transactionType": "Revenue",
        "transactionDate": "2026-03-04",
        "revenueDate": "2026-03-04",
        "postingDate": "2026-03-04 23:50:10.0",
        "folioWindowNo": 1,
        side: {"amount": abs(amount), "currencyCode": "CNY"},
        **changes,
    }


RESERVATION = {
    "reservationIdList": [
        {"id": "919074", "type": "Reservation"},
        {"id": "1462855", "type": "Confirmation"},
    ],
    "roomStay": {
        "arrivalDate": "2026-03-03",
        "departureDate": "2026-03-05",
        "roomRates": [{"roomType": "DLXK", "pseudoRoom": False}],
    },
    "reservationGuests": [
        {
            "profileInfo": {
                "profileIdList": [{"id": "77", "type": "Profile"}],
                "profile": {"customer": {"personName": [{"givenName": "Jun", "surname": "Li"}]}},
            },
            "primary": False,
        },
        {
            "profileInfo": {
                "profileIdList": [{"id": "1280812", "type": "Profile"}],
                "profile": {"customer": {"personName": [{"surname": "Li"}]}},
            },
            "primary": True,
        },
    ],
    "attachedProfiles": [
        {"profileIdList": [{"id": "500", "type": "Profile"}], "reservationProfileType": "Company"},
        {
            "profileIdList": [{"id": "600", "type": "Profile"}],
            "reservationProfileType": "TravelAgent",
        },
    ],
    "hotelId": "LKS",
    "reservationStatus": "CheckedOut",
    "lastModifyDateTime": "2026-03-05 11:20:00.0",
}
DETAILS = {
    "customer": {
        "personName": [{"givenName": "静怡", "surname": "李", "nameType": "Primary"}],
        "birthDate": "1990-05-17",
    },
    "profileType": "Guest",
    "lastModifyDateTime": "2026-03-03 15:00:00.0",
    "telephones": {
        "telephoneInfo": [
            {"telephone": {"phoneTechType": "FAX", "phoneNumber": "+86 21 1", "primaryInd": True}},
            {"telephone": {"phoneTechType": "MOBILE", "phoneNumber": "+86 138 0013 8000"}},
        ]
    },
    "emails": {"hasMore": False, "emailInfo": [{"email": {"emailAddress": "jingyi@example.com"}}]},
    "profileMemberships": {
        "profileMembership": [
            {"membershipId": 42, "membershipType": "GRP"},
            {"membershipId": "99", "membershipType": "AIR"},
        ]
    },
}
ROOM = [
    posting(11, "1000", 1000),
    posting(12, "1900", 60, referenceTransactionNo=11),
    posting(13, "1990", 12.5),
]
EXTRAS = [
    posting(14, "3000", 80, transactionType="Wrapper"),
    posting(15, "2100", 50, referencePackageTransactionNo=14),
    posting(16, "2200", 40),
    posting(17, "8000", 100, paidOut=True),
    posting(18, "4500", 70),
    posting(19, "2200", -40, referenceTransactionNo=16),
    posting(20, "1900", -2.4, referenceTransactionNo=19),
    posting(21, "1900", 5),
    posting(22, "1000", 0.01, roundingDifferenceTrx=True),
]
PAID = [
    posting(30, "9000", -1000, transactionType="Payment"),
    posting(31, "9500", -140.01, transactionType="Payment", reference=" desk-9 "),
    posting(32, "9000", -5, transactionType="Payment"),
    posting(33, "9000", 5, transactionType="Payment", reversePaymentTransactionNo=32),
]
CODES = [{"transactionCode": "3000", "transactionGroup": "PKG"}]


def folios(*windows: list[dict[str, Any]]) -> dict[str, Any]:
    found = [
        {"folioWindowNo": n, "folios": [{"postings": part}], "emptyWindow": not part}
        for n, part in enumerate(windows, start=1)
    ]
    return {"reservationFolioInformation": {"folioWindows": found}, "trxCodesInfo": CODES}


def body(document: object) -> Body:
    return Body(json.dumps(document, ensure_ascii=False).encode())


def happened(module: object, action: str, key: object, *details: dict[str, str]) -> dict[str, Any]:
    header = {
        "moduleName": module,
        "actionType": action,
        "actionId": 2130690,
        "primaryKey": key,
        "createdDateTime": "2026-03-05 11:20:00.0",
        "hotelId": "LKS",
    }
    return {
        "businessEvent": {"header": header, "details": list(details)},
        "businessEventId": {"id": "1971133"},
    }


def queue(*events: dict[str, Any]) -> Body:
    return body({"businessEventData": list(events)})


def streamed(module: str, action: str, key: str, **changes: Any) -> Body:
    event = {
        "metadata": {"offset": "68", "uniqueEventId": f"u-{action}"},
        "moduleName": module,
        "eventName": action,
        "primaryKey": key,
        "hotelId": "LKS",
        "timestamp": "2026-03-05 11:20:00.0",
        "detail": [{"elementName": "NAME", "newValue": "Li", "oldValue": ""}],
    }
    return body({"id": "1", "type": "next", "payload": {"data": {"newEvent": event | changes}}})


def stays(
    reservation: dict[str, Any] = RESERVATION,
    folio: dict[str, Any] | None = None,
    profile: dict[str, Any] | None = DETAILS,
) -> CannedUpstream:
    answers: dict[tuple[str, str], Any] = {
        ("POST", "/oauth/v1/tokens"): b'{"access_token": "token-1", "expires_in": 3600}',
        ("GET", f"{RESERVATIONS}/919074"): body(
            {"reservations": {"reservation": [reservation]}}
        ).raw,
        ("GET", f"{RESERVATIONS}/1"): b"",
        ("GET", FOLIOS + POSTINGS): body(folio or folios(ROOM + PAID, EXTRAS)).raw,
        ("GET", QUEUE): queue(happened("Reservation", "CHECK OUT", "919074")).raw,
        ("GET", f"{RESERVATIONS}?limit=1"): b"{}",
        ("GET", f"{RESERVATIONS}?lastModifyStartDate=2025-12-31&limit=200&offset=0"): PAGE.raw,
    }
    if profile is not None:
        answers["GET", PROFILE] = body({"profileDetails": profile}).raw
    return CannedUpstream(answers)


PAGE = body({"reservations": {"reservationInfo": [RESERVATION], "hasMore": False}})
ANSWERED = {" ".join(key): json.loads(answer) for key, answer in stays().answers.items() if answer}


class TestOhip(DialectConformance):
    connector = connector
    connection = Connection(
        connection_id="hotel",
        config=OhipConfig(
            base_url="https://ohip.example",
            client_id="id",
            client_secret="secret",
            enterprise_id="ENT",
            app_key="key",
            external_system="HUB",
            hotels=("LKS",),
            verifies={HintType.PHONE},
            line_kinds={
                "1000": LineKind.ROOM,
                "1900-1989": LineKind.TAX,
                "1990": LineKind.CITY_TAX,
                "2000-2999": LineKind.ITEM,
                "group:PKG": LineKind.PACKAGE,
            },
            payment_kinds={"9000-9499": TenderKind.CARD, "9500": TenderKind.POINTS},
            mirrored={"4000-4999"},
            membership_types={"GRP"},
            outlets={"LKS": Outlet(time_zone="Asia/Shanghai")},
        ),
        secrets=("token-new", "token-old"),
        time_zone="Europe/Prague",
        currency="CNY",
    )
    signs_body = False
    bills_are_settled = False
    pushed = (
        queue(
            happened("Profile", "UPDATE PROFILE", "1280812"),
            happened("Reservation", "CHECK OUT", "919074"),
            happened("Reservation", "UPDATE RESERVATION", 919074),
        ),
        streamed("RESERVATION", "REVERSE CHECK OUT", "919074"),
        queue(
            happened(
                "Cashiering",
                "NEW POSTING",
                "16",
                {"dataElement": "RESV NAME ID", "newValue": "919074"},
            )
        ),
        streamed("RESERVATION", "CHECK OUT", "919074"),
    )
    pulled = (PAGE, body({"reservations": {"reservation": [RESERVATION]}}))
    expected = frozenset({FactKey("stay", "LKS/919074"), FactKey("refund", "LKS/19")})
    broken = (
        (body({"businessEventData": {}}), "businessEventData"),
        (queue({}), "businessEventData[0].businessEvent"),
        (
            queue(happened("Reservation", "CHECK OUT", "")),
            "businessEventData[0].businessEvent.header.primaryKey",
        ),
        (streamed("RESERVATION", "CHECK OUT", "1", hotelId=None), "payload.data.newEvent.hotelId"),
        (body({"type": "next", "payload": {"data": []}}), "payload.data"),
        (body({"reservations": {"reservation": {}}}), "reservations.reservation"),
        (
            body({"reservations": {"reservation": [{**RESERVATION, "reservationIdList": []}]}}),
            "reservations.reservation[0].reservationIdList",
        ),
    )
    refused = (
        (queue(), "an empty queue"),
        (
            queue(happened("Rate", "UPDATE RATE", "1"), happened(14, "UPDATE BLOCK", "1")),
            "UPDATE RATE, UPDATE BLOCK",
        ),
        (queue(happened("Cashiering", "NEW POSTING", "16")), "NEW POSTING"),
        (queue(happened("Reservation", "CHECK OUT", "1")), "reservation 1 is gone"),
        (body({"reservations": {"reservationInfo": []}}), "empty"),
        (
            body(
                {"reservations": {"reservation": [{**RESERVATION, "reservationStatus": "DueIn"}]}}
            ),
            "is over",
        ),
        (body({"type": "connection_ack"}), "type says nothing"),
    )
    checked = "LKS"

    def sign(self, body: Body, secret: str | None) -> Inbound:
        headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
        return Inbound(body=body.raw, headers=headers, url="https://hub.example/hooks/hotel")

    def upstream(self) -> CannedUpstream:
        return stays()

    async def tell(
        self, upstream: CannedUpstream, posted: frozenset[FactKey] = frozenset()
    ) -> dict[FactKey, CanonicalEvent]:
        (source,) = connector.decode(streamed("RESERVATION", "CHECK OUT", "919074").raw, None)
        snapshot = await connector.hydrate(upstream, source, self.connection)
        found = connector.map(replace(source, snapshot=snapshot), posted, self.connection)
        return {one.fact: one for one in found}

    def test_the_token_may_be_in_the_url(self) -> None:
        for url in ("https://hub.example/h?token=token-new", "https://hub.example/h/token-old"):
            self.verify(Inbound(body=b"", headers={}, url=url))

    def test_a_streamed_event_is_known_by_its_id(self) -> None:
        signed = self.sign(self.pushed[1], "token-new")
        assert connector.verify(signed, self.connection, NOW).dedup_id == "u-REVERSE CHECK OUT"

    def test_codes_are_told_by_themselves_their_group_or_a_range(self) -> None:
        kinds = {"1000-1999": 1, "group:FB": 2, "1500": 3}
        for code, group, kind in (("1500", "FB", 3), ("1400", "FB", 2), ("1400", None, 1)):
            assert kind_of(kinds, code, group) == kind
        for code in ("2000", "15A", ""):
            assert kind_of(kinds, code, None) is None

    async def test_credentials_go_with_every_call(self) -> None:
        upstream = stays()
        await self.tell(upstream)
        (_, _, token, form), *calls = upstream.asked
        assert (token["x-app-key"], token["enterpriseId"]) == ("key", "ENT")
        assert form == {"grant_type": "client_credentials", "scope": "urn:opc:hgbu:ws:__myscopes__"}
        assert len(calls) == 3
        for _, _, headers, _ in calls:
            assert (headers["Authorization"], headers["x-hotelid"]) == ("Bearer token-1", "LKS")

    async def test_an_open_reservation_costs_no_folio(self) -> None:
        upstream = stays({**RESERVATION, "reservationStatus": "InHouse"})
        with pytest.raises(Refused, match="reservation is InHouse"):
            await self.tell(upstream)
        assert len(upstream.asked) == 2

    async def test_the_stay_has_its_postings_with_their_taxes(self) -> None:
        stay = (await self.tell(stays()))[FactKey("stay", "LKS/919074")]
        assert [(one.id, one.kind, one.net_minor) for one in stay.lines] == [
            ("11", LineKind.ROOM, 100000),
            ("13", LineKind.CITY_TAX, 1250),
            ("14", LineKind.PACKAGE, 8000),
            ("16", LineKind.ITEM, 4000),
            ("21", LineKind.TAX, 0),
            ("22", LineKind.ROUNDING, 1),
        ]
        assert [(one.code, one.amount_minor) for one in stay.lines[0].taxes] == [("1900", 6000)]
        assert stay.totals is not None
        assert (stay.totals.tax_minor, stay.totals.total_minor) == (6500, 119751)
        assert stay.stay is not None
        assert (stay.stay.confirmation, str(stay.business_date)) == ("1462855", "2026-03-05")
        assert stay.outlet == "LKS"

    async def test_payments_are_credits_and_points_name_their_redemption(self) -> None:
        stay = (await self.tell(stays()))[FactKey("stay", "LKS/919074")]
        assert [(one.kind, one.amount_minor, one.reference) for one in stay.tenders] == [
            (TenderKind.CARD, 100000, None),
            (TenderKind.POINTS, 14001, "desk-9"),
        ]

    async def test_a_correction_gives_back_its_posting_with_the_tax(self) -> None:
        found = (await self.tell(stays()))[FactKey("refund", "LKS/19")]
        assert found.refund is not None
        assert found.refund.original == FactKey("sale", "LKS/16")
        assert (found.refund.amount_minor, found.lines[0].reverses) == (4240, "16")

    async def test_what_is_given_back_of_nothing_known_is_unallocated(self) -> None:
        facts = await self.tell(stays(folio=folios([*ROOM, posting(40, "1000", -100)])))
        found = facts[FactKey("refund", "LKS/40")].refund
        assert found is not None
        assert found.original == FactKey("stay", "LKS/919074")
        assert found.unallocated_minor == 10000

    async def test_a_tax_given_back_alone_takes_no_points(self) -> None:
        facts = await self.tell(stays(folio=folios([*ROOM, posting(40, "1990", -5)])))
        assert list(facts) == [FactKey("stay", "LKS/919074")]

    async def test_a_reversed_check_out_and_late_charges_are_told_as_what_is_new(self) -> None:
        first = await self.tell(stays())
        stay = first[FactKey("stay", "LKS/919074")]
        posted = frozenset(first)
        with pytest.raises(Refused, match="InHouse"):
            await self.tell(stays({**RESERVATION, "reservationStatus": "InHouse"}), posted)
        later = {**RESERVATION["roomStay"], "departureDate": "2026-03-06"}
        night = posting(50, "1000", 900, transactionDate="2026-03-05")
        tax = posting(51, "1900", 54, transactionDate="2026-03-05", referenceTransactionNo=50)
        second = await self.tell(
            stays({**RESERVATION, "roomStay": later}, folios(ROOM + PAID, [*EXTRAS, night, tax])),
            posted,
        )
        assert set(second) - set(stay.references) == {FactKey("sale", "LKS/50")}
        sale = second[FactKey("sale", "LKS/50")]
        assert (sale.type, sale.lines[0].net_minor) == (EventType.SALE_COMPLETED, 90000)
        assert str(sale.business_date) == "2026-03-05"

    @pytest.mark.parametrize(
        ("status", "kind", "fact", "day"),
        [
            ("NoShow", EventType.STAY_NO_SHOW, "stay_no_show", "2026-03-03"),
            ("Cancelled", EventType.STAY_CANCELLED, "stay_cancelled", "2026-03-01"),
        ],
    )
    async def test_stays_that_never_were(
        self, status: str, kind: EventType, fact: str, day: str
    ) -> None:
        reservation = {
            **RESERVATION,
            "reservationStatus": status,
            "cancellation": {"date": "2026-03-01"},
        }
        folio = folios([posting(60, "2200", 500)])
        facts = await self.tell(stays(reservation, folio))
        assert list(facts) == [FactKey(fact, "LKS/919074")]
        (found,) = facts.values()
        assert (found.type, str(found.business_date)) == (kind, day)
        assert await self.tell(stays(reservation, folio), frozenset(facts)) == {}

    @pytest.mark.parametrize(
        ("rate", "reason"),
        [({"pseudoRoom": True}, "posting master"), ({"houseUseOnly": True}, "house use")],
    )
    async def test_nobodys_stays_are_refused(self, rate: dict[str, Any], reason: str) -> None:
        room = {**RESERVATION["roomStay"], "roomRates": [rate]}
        with pytest.raises(Refused, match=reason):
            await self.tell(stays({**RESERVATION, "roomStay": room}))

    async def test_people_companies_and_agents(self) -> None:
        stay = (await self.tell(stays()))[FactKey("stay", "LKS/919074")]
        assert [(one.role, one.external_id) for one in stay.parties] == [
            (Role.GUEST, "1280812"),
            (Role.ACCOMPANYING, "77"),
            (Role.PAYER_COMPANY, "500"),
            (Role.AGENT, "600"),
        ]
        assert {hint.type: (hint.value, hint.verified) for hint in stay.parties[0].hints} == {
            HintType.PHONE: ("+86 138 0013 8000", True),
            HintType.EMAIL: ("jingyi@example.com", False),
            HintType.NAME: ("李静怡", False),
            HintType.BIRTHDAY: ("1990-05-17", False),
            HintType.LOYALTY_ID: ("42", False),
        }

    async def test_a_stay_stands_without_its_profile(self) -> None:
        stay = (await self.tell(stays(profile=None)))[FactKey("stay", "LKS/919074")]
        assert stay.parties[0].external_id == "1280812"

    async def test_a_guests_profile_is_told_and_a_companys_is_not(self) -> None:
        update = queue(happened("Profile", "UPDATE PROFILE", "1280812"))
        (profile,) = await self.events(update)
        assert profile.type is EventType.PROFILE_CHANGED
        assert profile.occurred_at.isoformat() == "2026-03-03T15:00:00+01:00"
        company = stays(profile={**DETAILS, "profileType": "Company"})
        (source,) = connector.decode(update.raw, None)
        snapshot = await connector.hydrate(company, source, self.connection)
        with pytest.raises(Refused, match="of a Company"):
            connector.map(replace(source, snapshot=snapshot), (), self.connection)

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"transactionCode": "7777"}, "windows[0].folios[0].postings[0].transactionCode"),
            ({"debitAmount": None}, "windows[0].folios[0].postings[0].postedAmount"),
            (
                {"debitAmount": {"amount": 1.001}},
                "windows[0].folios[0].postings[0].debitAmount.amount",
            ),
            (
                {"creditAmount": {"amount": 1, "currencyCode": "EUR"}},
                "windows[0].folios[0].postings[0].creditAmount.currencyCode",
            ),
            ({"transactionDate": "soon"}, "windows[0].folios[0].postings[0].transactionDate"),
        ],
    )
    async def test_postings_that_are_not_understood_are_named(
        self, changed: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(Malformed) as caught:
            await self.tell(stays(folio=folios([{**ROOM[0], **changed}])))
        assert caught.value.field == field

    async def test_a_window_that_did_not_fit_is_asked_for_alone_page_by_page(self) -> None:
        many = [posting(100 + n, "2200", 1) for n in range(301)]
        short = {"folioWindowNo": 2, "emptyFolio": True, "emptyWindow": False}
        first = folios(ROOM)
        first["reservationFolioInformation"]["folioWindows"].append(short)
        upstream = stays(folio=first)

        def window(part: list[dict[str, Any]], *, more: bool) -> bytes:
            found = {"folioWindowNo": 2, "folios": [{"postings": part}], "hasMore": more}
            return body({"reservationFolioInformation": {"folioWindows": [found]}}).raw

        upstream.answers = {
            **upstream.answers,
            ("GET", f"{FOLIOS}&folioWindowNo=2{POSTINGS}"): window(many[:300], more=True),
            ("GET", f"{FOLIOS}&folioWindowNo=2&offset=300{POSTINGS}"): window(
                many[300:], more=False
            ),
        }
        stay = (await self.tell(upstream))[FactKey("stay", "LKS/919074")]
        assert len(stay.lines) == 2 + 301

    async def test_a_queue_is_emptied_page_by_page_and_hotel_by_hotel(self) -> None:
        config = self.connection.config.model_copy(update={"hotels": ("LKS", "BAY")})
        connection = replace(self.connection, config=config)
        full = queue(*[happened("Reservation", "CHECK OUT", str(n)) for n in range(20)]).raw
        answers = [full, b"", b""]
        upstream = CannedUpstream(
            {
                ("POST", "/oauth/v1/tokens"): b'{"access_token": "t"}',
                ("GET", QUEUE): lambda _: answers.pop(0),
                ("GET", QUEUE.replace("LKS", "BAY")): lambda _: answers.pop(0),
            }
        )
        cursor, pages = None, []
        while True:
            page = await connector.pull(
                upstream, "events", cursor, connection, since=SINCE, until=NOW
            )
            pages.append((page.body, page.cursor, page.done))
            if page.done:
                break
            cursor = page.cursor
        assert pages == [(full, "0", False), (None, "1", False), (None, None, True)]

    async def test_reservations_are_searched_a_few_times_a_day(self) -> None:
        upstream = stays()
        search = f"{RESERVATIONS}?lastModifyStartDate=2026-03-30&limit=200&offset=0"
        upstream.answers = {**upstream.answers, ("GET", search): b""}
        cursor, found = None, []
        for hours in (0, 1, 5, 7):
            page = await connector.pull(
                upstream,
                "reservations",
                cursor,
                self.connection,
                since=SINCE,
                until=NOW + timedelta(hours=hours),
            )
            cursor = page.cursor
            assert page.done
            found.append(page.body is not None)
        assert found == [True, False, False, False]
        assert [path for method, path, _, _ in upstream.asked if method == "GET"] == [
            f"{RESERVATIONS}?lastModifyStartDate=2025-12-31&limit=200&offset=0",
            search,
        ]

    @FUZZ
    @given(changed=mutant_bodies((*pushed, *pulled)))
    async def test_whatever_comes_is_read_calmly(self, changed: Body) -> None:
        await read_calmly(self, changed)

    @FUZZ
    @given(answers=mutants([ANSWERED]))
    async def test_whatever_is_answered_is_read_calmly(self, answers: dict[str, Any]) -> None:
        kit = TestOhip()
        kit.upstream = lambda: CannedUpstream(
            {tuple(key.split(" ", 1)): json.dumps(one).encode() for key, one in answers.items()}
        )
        await read_calmly(kit, self.pushed[0])
