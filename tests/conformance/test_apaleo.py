"""Apaleo through the kit, and what only Apaleo does: folios by id, pages that answer nothing."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from connectors.conformance import NOW, SINCE, Body, CannedUpstream, DialectConformance
from connectors.hotel.apaleo import connector
from connectors.hotel.apaleo.config import ApaleoConfig
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    HintType,
    Inbound,
    LineKind,
    Outlet,
    Role,
    SignatureInvalid,
    TenderKind,
)
from hub.errors import Malformed
from tests.support.mutate import FUZZ, mutant_bodies, mutants, read_calmly

TOKEN = ("POST", "https://identity.apaleo.com/connect/token")


def amount(gross: float, net: float | None = None, vat: int = 0) -> dict[str, Any]:
    return {
        "grossAmount": gross,
        "netAmount": gross if net is None else net,
        "vatType": "Reduced" if vat else "Without",
        "vatPercent": vat,
        "currency": "EUR",
    }


def charge(name: str, kind: str, money: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "type": kind,
        "serviceType": "Accommodation",
        "name": "Overnight stay",
        "isPosted": True,
        "serviceDate": "2026-03-28",
        "created": "2026-02-01T10:00:00+01:00",
        "amount": money,
        "quantity": 1,
        **changes,
    }


def allowance(name: str, money: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "amount": money,
        "reason": "noise",
        "serviceType": "Accommodation",
        "serviceDate": "2026-03-30",
        "created": "2026-03-30T15:00:00+02:00",
        **changes,
    }


RESERVATION = {
    "id": "XPG-1",
    "bookingId": "XPG",
    "status": "CheckedOut",
    "property": {"id": "MUC", "name": "Munich"},
    "channelCode": "Direct",
    "arrival": "2026-03-28T15:00:00+01:00",
    "departure": "2026-03-30T11:00:00+02:00",
    "created": "2026-02-01T10:00:00+01:00",
    "modified": "2026-03-30T10:40:00+02:00",
    "checkInTime": "2026-03-28T16:20:00+01:00",
    "checkOutTime": "2026-03-30T10:40:00+02:00",
    "primaryGuest": {
        "firstName": "Anna",
        "lastName": "Weber",
        "email": "anna@example.com",
        "phone": "+49 151 23456789",
        "birthDate": "1988-04-02",
    },
    "additionalGuests": [{"firstName": "Jonas", "lastName": "Weber"}],
    "company": {"id": "ACME", "name": "Acme"},
}
LATE = {"created": "2026-03-30T12:00:00+02:00"}
CHARGES = [
    charge("n1", "TimeSlice", amount(107, 100, 7)),
    charge("n2", "TimeSlice", amount(107, 100, 7)),
    charge("ct", "CityTax", amount(5), serviceType="CityTax"),
    charge("bf", "IncludedService", amount(23.8, 20, 19), serviceType="FoodAndBeverages"),
    charge("planned", "ExtraService", amount(30), isPosted=False),
    charge("gone", "Direct", amount(40), movedTo={"id": "XPG-1-2"}),
    charge("bar", "Direct", amount(11.9, 10, 19), serviceType="Other", **LATE),
]
FOLIO = {
    "id": "XPG-1-1",
    "property": {"id": "MUC"},
    "reservation": {"id": "XPG-1", "bookingId": "XPG"},
    "charges": CHARGES,
    "transitoryCharges": [{"id": "taxi", "amount": {"amount": 25, "currency": "EUR"}}],
    "allowances": [allowance("al1", amount(53.5, 50, 7), sourceChargeId="n2")],
    "payments": [
        {
            "id": "p1",
            "method": "VisaCredit",
            "amount": {"amount": 200, "currency": "EUR"},
            "paymentDate": "2026-03-30T10:35:00+02:00",
        },
        {
            "id": "p2",
            "method": "Other",
            "amount": {"amount": 40, "currency": "EUR"},
            "paymentDate": "2026-03-30T10:36:00+02:00",
            "receipt": "POINTS: desk-7",
        },
    ],
}
SPLIT = {
    "id": "XPG-1-2",
    "reservation": {"id": "XPG-1"},
    "company": {"id": "ACME"},
    "charges": [
        charge("moved", "Direct", amount(40), movedFrom={"id": "XPG-1-1"}),
        charge("foreign", "Direct", amount(70), movedFrom={"id": "ABC-1-1"}, **LATE),
    ],
}


def body(document: object) -> Body:
    return Body(json.dumps(document, ensure_ascii=False).encode())


def event(topic: str, kind: str, entity: object, **changes: Any) -> Body:
    return body(
        {
            "topic": topic,
            "type": kind,
            "id": f"{topic}-{kind}",
            "accountId": "HFTF",
            "propertyId": "MUC",
            "timestamp": 1774860000000,
            "data": {"entityId": entity},
            **changes,
        }
    )


def query(path: str, **asked: str) -> tuple[str, str]:
    return "GET", f"{path}?" + "&".join(f"{key}={value}" for key, value in asked.items())


def page_of(stream: str, start: str, number: int = 1) -> tuple[str, str]:
    if stream == "folios":
        return query(
            "/finance/v1/folios",
            type="Guest",
            sort="created%3Aasc",
            updatedFrom=start,
            pageNumber=str(number),
            pageSize="100",
        )
    return query(
        "/booking/v1/reservations",
        dateFilter="Modification",
        status="CheckedOut%2CCanceled%2CNoShow",
        sort="created%3Aasc",
        **{"from": start},
        pageNumber=str(number),
        pageSize="100",
    )


def stays(
    reservation: dict[str, Any] = RESERVATION, folios: tuple[dict[str, Any], ...] = (FOLIO, SPLIT)
) -> CannedUpstream:
    listed = [{"id": folio["id"]} for folio in folios]
    return CannedUpstream(
        {
            TOKEN: b'{"access_token": "token-1", "token_type": "Bearer", "expires_in": 3600}',
            ("GET", "/booking/v1/reservations/XPG-1"): body(reservation).raw,
            query("/finance/v1/folios", reservationIds="XPG-1", pageSize="100"): body(
                {"folios": listed, "count": len(listed)}
            ).raw,
            **{("GET", f"/finance/v1/folios/{folio['id']}"): body(folio).raw for folio in folios},
            ("GET", "/finance/v1/folios/BAR"): body({"id": "BAR", "type": "External"}).raw,
            ("GET", "/inventory/v1/properties"): b'{"properties": [{"name": "Munich"}]}',
            page_of("reservations", "2026-01-01T00%3A00%3A00Z"): body(
                {"reservations": [RESERVATION], "count": 1}
            ).raw,
            page_of("folios", "2026-01-01T00%3A00%3A00Z"): b"",
        }
    )


ANSWERED = {" ".join(key): json.loads(answer) for key, answer in stays().answers.items() if answer}


class TestApaleo(DialectConformance):
    connector = connector
    connection = Connection(
        connection_id="hotel",
        config=ApaleoConfig(
            base_url="https://api.apaleo.example",
            client_id="ABCD-SP-HUB",
            client_secret="example",
            verifies={HintType.PHONE, HintType.EMAIL},
            outlets={"MUC": Outlet(time_zone="Europe/Berlin", day_starts_at_hour=3)},
        ),
        secrets=("token-new", "token-old"),
        time_zone="UTC",
        currency="EUR",
    )
    signs_body = False
    bills_are_settled = False
    pushed = (
        event("Reservation", "created", "XPG-1"),
        event("Reservation", "checked-out", "XPG-1"),
        event("Folio", "charges-changed", "XPG-1-1"),
        event("Reservation", "changed", "XPG-1"),
    )
    pulled = (
        body({"reservations": [RESERVATION], "count": 1}),
        body({"folios": [{"id": "XPG-1-1"}], "count": 1}),
    )
    expected = frozenset(
        {FactKey("stay", "XPG-1"), FactKey("sale", "bar"), FactKey("refund", "al1")}
    )
    broken = (
        (event("Reservation", "changed", ""), "data.entityId"),
        (event("Reservation", "changed", "XPG-1", data=[]), "data"),
        (event("Reservation", "changed", "XPG-1", timestamp="now"), "timestamp"),
        (event("Reservation", "changed", "XPG-1", timestamp=10**18), "timestamp"),
        (body({"topic": "Reservation"}), "type"),
        (body({"reservations": {}}), "reservations"),
        (body({"reservations": [{}]}), "reservations[0].id"),
        (body({"folios": ["XPG-1-1"]}), "folios[0]"),
    )
    refused = (
        (event("system", "healthcheck", ""), "system/healthcheck"),
        (event("Folio", "deleted", "XPG-1-1"), "what is gone"),
        (event("Folio", "charges-changed", "BAR"), "belongs to no reservation"),
        (event("Invoice", "created", "1"), "Invoice/created"),
        (body({"reservations": []}), "empty"),
        (body({"invoices": []}), "invoices"),
    )
    checked = "Munich"

    def sign(self, body: Body, secret: str | None) -> Inbound:
        url = "https://hub.example/hooks/hotel"
        return Inbound(
            body=body.raw, headers={}, url=url if secret is None else f"{url}?token={secret}"
        )

    def upstream(self) -> CannedUpstream:
        return stays()

    async def tell(self, upstream: CannedUpstream) -> dict[FactKey, CanonicalEvent]:
        (source,) = connector.decode(event("Reservation", "changed", "XPG-1").raw, None)
        snapshot = await connector.hydrate(upstream, source, self.connection)
        found = connector.map(replace(source, snapshot=snapshot), (), self.connection)
        return {one.fact: one for one in found}

    def test_the_token_may_be_the_password_of_basic_auth(self) -> None:
        def inbound(user_and_password: str) -> Inbound:
            given = base64.b64encode(user_and_password.encode()).decode()
            return Inbound(
                body=b"", headers={"authorization": f"Basic {given}"}, url="https://hub.example/h"
            )

        self.verify(inbound("apaleo:token-old"))
        for wrong in ("apaleo:other", "token-new", "token-new:"):
            with pytest.raises(SignatureInvalid):
                self.verify(inbound(wrong))
        with pytest.raises(SignatureInvalid):
            self.verify(replace(inbound("a:b"), headers={"authorization": "Basic !!"}))

    def test_the_delivery_is_known_by_its_id(self) -> None:
        signed = self.sign(self.pushed[0], "token-new")
        assert connector.verify(signed, self.connection, NOW).dedup_id == "Reservation-created"

    async def test_the_token_is_obtained_by_form_and_goes_with_every_call(self) -> None:
        upstream = stays()
        await self.tell(upstream)
        (_, _, _, form), *calls = upstream.asked
        assert form == {
            "grant_type": "client_credentials",
            "client_id": "ABCD-SP-HUB",
            "client_secret": "example",
        }
        assert len(calls) == 4
        assert {headers["Authorization"] for _, _, headers, _ in calls} == {"Bearer token-1"}

    async def test_an_open_reservation_costs_no_folio(self) -> None:
        upstream = stays({**RESERVATION, "status": "InHouse"})
        assert await self.yielded(self.pushed[0]) != []
        (source,) = connector.decode(self.pushed[0].raw, None)
        await connector.hydrate(upstream, source, self.connection)
        assert len(upstream.asked) == 2

    async def test_the_stay_is_what_was_posted_before_check_out(self) -> None:
        stay = (await self.tell(stays()))[FactKey("stay", "XPG-1")]
        assert [(one.id, one.kind, one.net_minor) for one in stay.lines] == [
            ("bf", LineKind.PACKAGE, 2000),
            ("ct", LineKind.CITY_TAX, 500),
            ("moved", LineKind.ROOM, 4000),
            ("n1", LineKind.ROOM, 10000),
            ("n2", LineKind.ROOM, 10000),
        ]
        assert stay.totals is not None
        assert (stay.totals.tax_minor, stay.totals.total_minor) == (1780, 28280)
        assert stay.stay is not None
        assert (stay.stay.confirmation, str(stay.business_date)) == ("XPG", "2026-03-30")

    async def test_points_are_told_by_the_receipt(self) -> None:
        stay = (await self.tell(stays()))[FactKey("stay", "XPG-1")]
        assert [(one.kind, one.amount_minor, one.reference) for one in stay.tenders] == [
            (TenderKind.CARD, 20000, None),
            (TenderKind.POINTS, 4000, "desk-7"),
        ]

    async def test_an_allowance_gives_back_its_charge(self) -> None:
        found = (await self.tell(stays()))[FactKey("refund", "al1")]
        assert found.refund is not None
        assert (found.refund.original, found.refund.amount_minor) == (
            FactKey("stay", "XPG-1"),
            5350,
        )
        assert (found.lines[0].reverses, found.lines[0].net_minor) == ("n2", 5000)

    async def test_an_allowance_of_the_folio_is_unallocated_and_its_sign_does_not_matter(
        self,
    ) -> None:
        for sign in (1, -1):
            of_all = allowance("al2", amount(sign * 10))
            facts = await self.tell(stays(folios=({**FOLIO, "allowances": [of_all]},)))
            refund = facts[FactKey("refund", "al2")].refund
            assert refund is not None
            assert (refund.amount_minor, refund.unallocated_minor) == (1000, 1000)

    async def test_a_charge_below_zero_gives_back(self) -> None:
        charges = [CHARGES[0], charge("minus", "Direct", amount(-21.4, -20, 7))]
        facts = await self.tell(stays(folios=({**FOLIO, "charges": charges},)))
        refund = facts[FactKey("refund", "minus")].refund
        assert refund is not None
        assert refund.amount_minor == 2140

    async def test_what_moved_after_check_out_is_no_sale(self) -> None:
        tidied = charge(
            "n1b", "TimeSlice", amount(107, 100, 7), movedFrom={"id": "XPG-1-1"}, **LATE
        )
        facts = await self.tell(stays(folios=(FOLIO, {**SPLIT, "charges": [tidied]})))
        assert FactKey("sale", "n1b") not in facts
        assert "n1b" in [one.id for one in facts[FactKey("stay", "XPG-1")].lines]

    @pytest.mark.parametrize(
        ("status", "when", "kind", "fact", "fee"),
        [
            ("NoShow", "noShowTime", EventType.STAY_NO_SHOW, "stay_no_show", "NoShowFee"),
            (
                "Canceled",
                "cancellationTime",
                EventType.STAY_CANCELLED,
                "stay_cancelled",
                "CancellationFee",
            ),
        ],
    )
    async def test_stays_that_never_were(
        self, status: str, when: str, kind: EventType, fact: str, fee: str
    ) -> None:
        reservation = {**RESERVATION, "status": status, when: "2026-03-29T00:10:00+01:00"}
        folio = {**FOLIO, "charges": [charge("fee", fee, amount(107))], "allowances": []}
        facts = await self.tell(stays(reservation, (folio,)))
        assert list(facts) == [FactKey(fact, "XPG-1")]
        (found,) = facts.values()
        assert found.type is kind
        assert len(found.lines) == 1
        assert str(found.business_date) == "2026-03-28"  # the hotel's day begins at three

    async def test_people_and_companies(self) -> None:
        stay = (await self.tell(stays()))[FactKey("stay", "XPG-1")]
        assert [(one.role, one.external_id) for one in stay.parties] == [
            (Role.GUEST, None),
            (Role.ACCOMPANYING, None),
            (Role.PAYER_COMPANY, "ACME"),
        ]
        assert {hint.type for hint in stay.parties[0].hints if hint.verified} == {
            HintType.PHONE,
            HintType.EMAIL,
        }

    async def test_a_channels_address_proves_nothing(self) -> None:
        facts = await self.tell(stays({**RESERVATION, "channelCode": "BookingCom"}))
        hints = {
            hint.type: hint.verified for hint in facts[FactKey("stay", "XPG-1")].parties[0].hints
        }
        assert not hints[HintType.EMAIL]

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            (
                {"amount": {**amount(5), "currency": "CHF"}},
                "folios[0].charges[1].amount.grossAmount",
            ),
            ({"amount": amount(5.001)}, "folios[0].charges[1].amount.grossAmount"),
            ({"amount": amount(5, 6)}, "folios[0].charges[1].amount.netAmount"),
            ({"created": None}, "folios[0].charges[1].created"),
            ({"amount": {"currency": "EUR"}}, "folios[0].charges[1].amount.grossAmount"),
        ],
    )
    async def test_charges_that_do_not_add_up_are_named(
        self, changed: dict[str, Any], field: str
    ) -> None:
        charges = [CHARGES[0], {**CHARGES[1], **changed}]
        with pytest.raises(Malformed) as caught:
            await self.tell(stays(folios=({**FOLIO, "charges": charges},)))
        assert caught.value.field == field

    async def test_yen_have_no_decimals_and_dinars_three(self) -> None:
        for currency, gross, minor in (("JPY", 12000, 12000), ("KWD", 12.345, 12345)):
            money = {**amount(gross), "currency": currency}
            folio = {**FOLIO, "charges": [charge("n", "TimeSlice", money)]}
            folio |= {"allowances": [], "payments": []}
            stay = (await self.tell(stays(folios=(folio,))))[FactKey("stay", "XPG-1")]
            assert (stay.currency, stay.lines[0].net_minor) == (currency, minor)

    async def test_a_stream_goes_on_page_by_page_from_where_it_began(self) -> None:
        full = [{"id": f"R{n}"} for n in range(100)]
        start = "2026-01-01T00%3A00%3A00Z"
        upstream = CannedUpstream(
            {
                TOKEN: b'{"access_token": "t"}',
                page_of("reservations", start): body({"reservations": full}).raw,
                page_of("reservations", start, 2): b"",
                page_of("reservations", "2026-03-31T12%3A00%3A00Z"): b"",
            }
        )
        cursor, pages = None, []
        for until in (NOW, NOW.replace(hour=13), NOW.replace(hour=14)):
            page = await connector.pull(
                upstream, "reservations", cursor, self.connection, since=SINCE, until=until
            )
            cursor = page.cursor
            pages.append((page.body is not None, page.done))
        assert pages == [(True, False), (False, True), (False, True)]

    @FUZZ
    @given(changed=mutant_bodies((*pushed, *pulled)))
    async def test_whatever_comes_is_read_calmly(self, changed: Body) -> None:
        await read_calmly(self, changed)

    @FUZZ
    @given(answers=mutants([ANSWERED]))
    async def test_whatever_is_answered_is_read_calmly(self, answers: dict[str, Any]) -> None:
        kit = TestApaleo()
        kit.upstream = lambda: CannedUpstream(
            {tuple(key.split(" ", 1)): json.dumps(one).encode() for key, one in answers.items()}
        )
        for delivery in (self.pushed[1], self.pushed[2]):
            await read_calmly(kit, delivery)
