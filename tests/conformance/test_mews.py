"""Mews through the kit, and what only Mews does: thin events, folios that change afterwards."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from connectors.conformance import NOW, SINCE, Body, CannedUpstream, DialectConformance
from connectors.hotel.mews import connector
from connectors.hotel.mews.config import MewsConfig
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
    SignatureInvalid,
    TenderKind,
)
from hub.errors import Malformed
from tests.support.mutate import FUZZ, mutant_bodies, mutants, read_calmly


def amount(gross: float, tax: float = 0, currency: str = "CNY") -> dict[str, Any]:
    net = round(gross - tax, 4)
    taxes = [{"Code": "CN-S", "Value": tax}] if tax else []
    return {"Currency": currency, "NetValue": net, "GrossValue": gross, "TaxValues": taxes}


def item(name: str, kind: str, gross: float, tax: float = 0, **changes: Any) -> dict[str, Any]:
    return {
        "Id": name,
        "ServiceOrderId": "res-1",
        "AccountId": "guest-1",
        "AccountType": "Customer",
        "AccountingCategoryId": "rooms",
        "AccountingState": "Closed",
        "Type": kind,
        "UnitCount": 1,
        "Amount": amount(gross, tax),
        "CreatedUtc": "2026-03-03T16:00:00Z",
        "CanceledUtc": None,
        "Data": None,
        **changes,
    }


def rebate(name: str, gross: float, tax: float, of: str, **changes: Any) -> dict[str, Any]:
    data = {"Discriminator": "Rebate", "Rebate": {"ProductId": "p", "RebatedItemId": of}}
    return item(name, "NightRebate", gross, tax, Data=data, **changes)


RESERVATION = {
    "Id": "res-1",
    "ServiceId": "stay-service",
    "AccountId": "guest-1",
    "AccountType": "Customer",
    "Number": "52",
    "State": "Processed",
    "CreatedUtc": "2026-02-01T10:00:00Z",
    "UpdatedUtc": "2026-03-05T03:00:00Z",
    "ScheduledStartUtc": "2026-03-03T07:00:00Z",
    "ActualStartUtc": "2026-03-03T08:10:00Z",
    "ScheduledEndUtc": "2026-03-05T04:00:00Z",
    "ActualEndUtc": "2026-03-05T03:00:00Z",
    "CancellationReason": None,
}
AFTER = {"CreatedUtc": "2026-03-05T09:00:00Z"}
ITEMS = [
    item("night-1", "SpaceOrder", 1060, 60),
    item("night-2", "SpaceOrder", 1060, 60),
    item("tax-1", "CityTax", 12.5),
    item("bar-1", "ProductOrder", 53, 3),
    item("gone", "ProductOrder", 40, CanceledUtc="2026-03-04T10:00:00Z"),
    item("late", "ProductOrder", 21.2, 1.2, **AFTER),
    item("void", "ProductOrder", 30, CanceledUtc="2026-03-06T10:00:00Z"),
    rebate("rebate-1", -530, -30, "night-2", **AFTER),
    item("breakage", "AllowanceBreakage", 10),
    item("deposit", "Deposit", -500),
    item("nothing", "SpaceOrder", 0, AccountingState="Inactive"),
]
PAYMENTS = [
    {
        "Id": "pay-1",
        "Type": "CreditCardPayment",
        "State": "Charged",
        "Amount": amount(-2000),
        "CreatedUtc": "2026-03-05T02:50:00Z",
        "Data": None,
    },
    {
        "Id": "pay-2",
        "Type": "ExternalPayment",
        "State": "Charged",
        "Amount": amount(-215.5),
        "CreatedUtc": "2026-03-05T02:51:00Z",
        "Data": {
            "Discriminator": "External",
            "External": {"Type": "LoyaltyPoints", "ExternalIdentifier": "desk-5"},
        },
    },
    {
        "Id": "pay-3",
        "Type": "CashPayment",
        "State": "Failed",
        "Amount": amount(-215.5),
        "CreatedUtc": "2026-03-05T02:40:00Z",
    },
]
GUEST = {
    "Id": "guest-1",
    "FirstName": "静怡",
    "LastName": "李",
    "Email": "jingyi@example.com",
    "HasOtaEmail": False,
    "Phone": "+86 138 0013 8000",
    "BirthDate": "1990-05-17",
    "LoyaltyCode": None,
    "UpdatedUtc": "2026-03-03T08:11:00Z",
}


def body(document: object) -> Body:
    return Body(json.dumps(document, ensure_ascii=False).encode())


def message(*events: tuple[str, str]) -> Body:
    found = [{"Discriminator": kind, "Value": {"Id": entity}} for kind, entity in events]
    return body({"EnterpriseId": "e", "IntegrationId": "i", "Events": found})


def stays(
    reservation: dict[str, Any] = RESERVATION,
    items: list[dict[str, Any]] = ITEMS,
    guest: dict[str, Any] | None = GUEST,
    payments: list[dict[str, Any]] = PAYMENTS,
) -> CannedUpstream:
    def page(key: str, found: list[Any]) -> bytes:
        return body({key: found, "Cursor": "the-last-one"}).raw

    def reservations(asked: Any) -> bytes:
        wanted = asked.get("ReservationIds", [reservation["Id"]])  # or all, of a window
        return page("Reservations", [reservation] if reservation["Id"] in wanted else [])

    api = "/api/connector/v1"
    return CannedUpstream(
        {
            ("POST", f"{api}/reservations/getAll/2023-06-06"): reservations,
            ("POST", f"{api}/orderItems/getAll"): page("OrderItems", items),
            ("POST", f"{api}/payments/getAll"): page("Payments", payments),
            ("POST", f"{api}/customers/getAll"): page("Customers", [guest] if guest else []),
            ("POST", f"{api}/configuration/get"): b'{"Enterprise": {"Name": "Lakeside Hotel"}}',
        }
    )


ANSWERED = {
    " ".join(key): json.loads(answer({"ReservationIds": ["res-1"]}) if callable(answer) else answer)
    for key, answer in stays().answers.items()
}


class TestMews(DialectConformance):
    connector = connector
    connection = Connection(
        connection_id="hotel",
        config=MewsConfig(
            base_url="https://mews.example",
            client_token="client-example",
            access_token="access-example",
            verifies={HintType.PHONE, HintType.EMAIL},
            outlets={"stay-service": Outlet(time_zone="Asia/Shanghai", day_starts_at_hour=3)},
        ),
        secrets=("token-new", "token-old"),
        time_zone="Europe/Prague",
        currency="CNY",
    )
    signs_body = False
    bills_are_settled = False
    pushed = (
        message(("CustomerAdded", "guest-1"), ("CustomerUpdated", "guest-1")),
        message(("ServiceOrderUpdated", "res-1"), ("ResourceUpdated", "room-7")),
        message(("PaymentUpdated", "pay-1")),
        message(("ServiceOrderUpdated", "res-1")),
    )
    pulled = (
        body({"Reservations": [RESERVATION], "Cursor": "c"}),
        body({"OrderItems": ITEMS, "Cursor": "c"}),
        body({"Customers": [GUEST], "Cursor": "c"}),
    )
    expected = frozenset(
        {
            FactKey("stay", "res-1"),
            FactKey("sale", "late"),
            FactKey("refund", "void"),
            FactKey("refund", "rebate-1"),
        }
    )
    broken = (
        (body({"Events": {}}), "Events"),
        (body({"Events": [{"Discriminator": "CustomerAdded"}]}), "Events[0].Value"),
        (message(("CustomerAdded", "")), "Events[0].Value.Id"),
        (body({"OrderItems": [{"Id": "x"}]}), "OrderItems[0].ServiceOrderId"),
        (body({"Customers": [{"Id": "x", "UpdatedUtc": "then"}]}), "UpdatedUtc"),
    )
    refused = (
        (message(("MessageAdded", "m"), ("ResourceUpdated", "r")), "MessageAdded, ResourceUpdated"),
        (message(("ServiceOrderUpdated", "product-order")), "is no reservation"),
        (body({"Action": "IntegrationCreated", "Data": {}}), "IntegrationCreated"),
        (body({"Bills": [{"Id": "b"}]}), "a bill is paper"),
        (body({"LedgerBalances": []}), "LedgerBalances"),
        (body({"OrderItems": []}), "empty"),
        (body({"Customers": [{**GUEST, "MergeTargetId": "guest-2"}]}), "merged into guest-2"),
    )
    checked = "Lakeside Hotel"

    def sign(self, body: Body, secret: str | None) -> Inbound:
        url = "https://hub.example/hooks/hotel"
        return Inbound(
            body=body.raw, headers={}, url=url if secret is None else f"{url}?token={secret}"
        )

    def upstream(self) -> CannedUpstream:
        return stays()

    async def tell(self, upstream: CannedUpstream) -> dict[FactKey, CanonicalEvent]:
        (event,) = connector.decode(message(("ServiceOrderUpdated", "res-1")).raw, None)
        snapshot = await connector.hydrate(upstream, event, self.connection)
        found = connector.map(replace(event, snapshot=snapshot), (), self.connection)
        return {one.fact: one for one in found}

    def test_the_token_may_end_the_path(self) -> None:
        self.verify(Inbound(body=b"", headers={}, url="https://hub.example/hooks/h/token-new"))
        with pytest.raises(SignatureInvalid):
            self.verify(Inbound(body=b"", headers={}, url="https://hub.example/token-new/h"))

    async def test_credentials_go_with_every_call(self) -> None:
        upstream = stays()
        await self.tell(upstream)
        assert len(upstream.asked) == 4
        for _, _, _, asked in upstream.asked:
            assert isinstance(asked, dict)
            assert asked["ClientToken"] == "client-example"
            assert asked["AccessToken"] == "access-example"
            assert asked["Client"].startswith("Group Membership Hub")

    async def test_an_open_reservation_costs_one_call(self) -> None:
        upstream = stays({**RESERVATION, "State": "Confirmed"})
        with pytest.raises(Refused, match="reservation is Confirmed"):
            await self.tell(upstream)
        assert len(upstream.asked) == 1

    async def test_pages_are_read_to_the_last(self) -> None:
        many = [item(f"i{n}", "ProductOrder", 1) for n in range(1500)]
        upstream = stays(items=[])

        def pages(asked: Any) -> bytes:
            start = int(asked["Limitation"].get("Cursor", "0"))
            found = many[start : start + asked["Limitation"]["Count"]]
            return body({"OrderItems": found, "Cursor": str(start + len(found))}).raw

        upstream.answers = {
            **upstream.answers,
            ("POST", "/api/connector/v1/orderItems/getAll"): pages,
        }
        facts = await self.tell(upstream)
        assert len(facts[FactKey("stay", "res-1")].lines) == 1500

    async def test_the_stay_is_what_was_charged_before_check_out(self) -> None:
        stay = (await self.tell(stays()))[FactKey("stay", "res-1")]
        assert [(one.id, one.kind, one.net_minor) for one in stay.lines] == [
            ("bar-1", LineKind.ITEM, 5000),
            ("night-1", LineKind.ROOM, 100000),
            ("night-2", LineKind.ROOM, 100000),
            ("tax-1", LineKind.CITY_TAX, 1250),
            ("void", LineKind.ITEM, 3000),
        ]
        assert stay.totals is not None
        assert (stay.totals.tax_minor, stay.totals.total_minor) == (12300, 221550)
        assert stay.stay is not None
        assert stay.stay.confirmation == "52"
        assert str(stay.business_date) == "2026-03-05"

    async def test_payments_are_negative_and_points_are_points(self) -> None:
        stay = (await self.tell(stays()))[FactKey("stay", "res-1")]
        assert [(one.kind, one.amount_minor) for one in stay.tenders] == [
            (TenderKind.CARD, 200000),
            (TenderKind.POINTS, 21550),
        ]
        assert [one.reference for one in stay.tenders] == [None, "desk-5"]

    async def test_what_came_after_check_out_is_told_apart(self) -> None:
        facts = await self.tell(stays())
        late = facts[FactKey("sale", "late")]
        assert (late.type, late.lines[0].net_minor) == (EventType.SALE_COMPLETED, 2000)
        night = facts[FactKey("refund", "rebate-1")]
        assert night.refund is not None
        assert night.refund.original == FactKey("stay", "res-1")
        assert night.refund.amount_minor == 53000
        assert (night.lines[0].reverses, night.lines[0].net_minor) == ("night-2", 50000)
        void = facts[FactKey("refund", "void")]
        assert (void.lines[0].reverses, void.lines[0].kind) == ("void", LineKind.ITEM)

    async def test_an_early_and_a_late_snapshot_tell_the_same_stay(self) -> None:
        early = [one for one in ITEMS if one["Id"] not in ("late", "rebate-1")]
        early = [{**one, "CanceledUtc": None} if one["Id"] == "void" else one for one in early]
        told = (await self.tell(stays(items=early)))[FactKey("stay", "res-1")]
        assert told == (await self.tell(stays()))[FactKey("stay", "res-1")]

    async def test_a_rebate_of_something_unknown_is_unallocated(self) -> None:
        facts = await self.tell(stays(items=[*ITEMS[:2], rebate("r", -100, 0, "elsewhere")]))
        found = facts[FactKey("refund", "r")]
        assert found.lines == ()
        assert found.refund is not None
        assert found.refund.unallocated_minor == 10000

    @pytest.mark.parametrize(
        ("reason", "kind", "fact", "fee"),
        [
            ("NoShow", EventType.STAY_NO_SHOW, "stay_no_show", LineKind.NO_SHOW_FEE),
            (
                "RequestedByGuest",
                EventType.STAY_CANCELLED,
                "stay_cancelled",
                LineKind.CANCELLATION_FEE,
            ),
        ],
    )
    async def test_stays_that_never_were(
        self, reason: str, kind: EventType, fact: str, fee: LineKind
    ) -> None:
        cancelled = {
            **RESERVATION,
            "State": "Canceled",
            "CancelledUtc": "2026-03-04T16:00:00Z",
            "CancellationReason": reason,
        }
        found = await self.tell(stays(cancelled, [item("fee", "CancellationFee", 500)]))
        assert found[FactKey(fact, "res-1")].type is kind
        assert [one.kind for one in found[FactKey(fact, "res-1")].lines] == [fee]

    async def test_the_company_that_pays_is_not_the_guest(self) -> None:
        company = item("night-1", "SpaceOrder", 100, AccountId="acme", AccountType="Company")
        reservation = {**RESERVATION, "TravelAgencyId": "agency"}
        stay = (await self.tell(stays(reservation, [company])))[FactKey("stay", "res-1")]
        assert [(one.role, one.external_id) for one in stay.parties] == [
            (Role.GUEST, "guest-1"),
            (Role.PAYER_COMPANY, "acme"),
            (Role.AGENT, "agency"),
        ]

    async def test_a_booking_sites_address_proves_nothing(self) -> None:
        masked = {**GUEST, "Email": "x8k2@guest.booking.example", "HasOtaEmail": True}
        stay = (await self.tell(stays(guest=masked)))[FactKey("stay", "res-1")]
        hints = {hint.type: hint.verified for hint in stay.parties[0].hints}
        assert hints[HintType.PHONE]
        assert not hints[HintType.EMAIL]

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"Amount": amount(5, currency="EUR")}, "order_items[1].Amount.Currency"),
            ({"Amount": amount(5.001)}, "order_items[1].Amount.GrossValue"),
            (
                {"Amount": {**amount(5), "NetValue": 4}},
                "order_items[1].Amount.NetValue",
            ),
            ({"CreatedUtc": None}, "order_items[1].CreatedUtc"),
            ({"Amount": {"Currency": "CNY"}}, "order_items[1].Amount.NetValue"),
        ],
    )
    async def test_items_that_do_not_add_up_are_named(
        self, changed: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(Malformed) as caught:
            await self.tell(stays(items=[ITEMS[0], {**ITEMS[1], **changed}]))
        assert caught.value.field == field

    async def test_taxes_finer_than_the_currency_are_rounded_half_up(self) -> None:
        fine = item("night-1", "SpaceOrder", 100, 5.6604)
        stay = (await self.tell(stays(items=[fine])))[FactKey("stay", "res-1")]
        assert (stay.lines[0].net_minor, stay.lines[0].taxes[0].amount_minor) == (9434, 566)

    async def test_what_changed_is_pulled_in_windows_that_mews_allows(self) -> None:
        asked: list[tuple[str, str, object]] = []

        def customers(body: Any) -> bytes:
            span = body["UpdatedUtc"]
            cursor = body["Limitation"].get("Cursor")
            asked.append((span["StartUtc"], span["EndUtc"], cursor))
            full = [GUEST] * 1000 if cursor is None and span["StartUtc"] < "2025-12" else []
            return json.dumps({"Customers": full, "Cursor": "older"}).encode()

        upstream = CannedUpstream({("POST", "/api/connector/v1/customers/getAll"): customers})
        # The present moves on while pages are read, and is finer than Mews's seconds.
        since, until = SINCE.replace(year=2025, month=11), NOW.replace(month=2, day=20)
        tick = timedelta(milliseconds=1100)
        cursor, pages = None, []
        for _ in range(4):
            page = await connector.pull(
                upstream, "customers", cursor, self.connection, since=since, until=until
            )
            cursor = page.cursor
            pages.append((page.body is not None, page.done))
            until = (
                until + tick if not page.done else until.replace(hour=15, second=0, microsecond=0)
            )
        first, second = "2025-11-01T00:00:00Z", "2026-01-25T00:00:00Z"
        assert asked == [
            (first, second, None),
            (first, second, "older"),
            (second, "2026-02-20T12:00:02Z", None),
            ("2026-02-20T11:50:02Z", "2026-02-20T15:00:00Z", None),
        ]
        assert pages == [(True, False), (False, False), (False, True), (False, True)]

    @FUZZ
    @given(changed=mutant_bodies((*pushed, *pulled)))
    async def test_whatever_comes_is_read_calmly(self, changed: Body) -> None:
        await read_calmly(self, changed)

    @FUZZ
    @given(answers=mutants([ANSWERED]))
    async def test_whatever_is_answered_is_read_calmly(self, answers: dict[str, Any]) -> None:
        kit = TestMews()
        kit.upstream = lambda: CannedUpstream(
            {tuple(key.split(" ", 1)): json.dumps(one).encode() for key, one in answers.items()}
        )
        await read_calmly(kit, self.pushed[1])
