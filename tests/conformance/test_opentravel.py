"""OpenTravel XML through the kit, and what only XML does: entities, cards, prices in two halves."""

import base64
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from connectors.conformance import Body, CannedUpstream, DialectConformance
from connectors.hotel.opentravel import connector
from connectors.hotel.opentravel.config import OpenTravelConfig
from connectors.hotel.opentravel.xml import parse_xml
from hub.connector import (
    Answering,
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    HintType,
    Inbound,
    LineKind,
    Outcome,
    Outlet,
    Refused,
    Role,
    SignatureInvalid,
)
from hub.errors import Malformed
from tests.support.mutate import FUZZ, mutant_bodies, read_calmly

NS = 'xmlns="http://www.opentravel.org/OTA/2003/05"'
PAN = "4444333322221111"
CARD = f"""<Guarantee><GuaranteesAccepted><GuaranteeAccepted>
  <PaymentCard CardCode="VI" CardNumber="{PAN}"><CardHolderName>Anna Weber</CardHolderName>
    <CardNumber><PlainText>{PAN}</PlainText></CardNumber></PaymentCard>
  </GuaranteeAccepted></GuaranteesAccepted></Guarantee>"""
GUESTS = """<ResGuests>
  <ResGuest><Profiles><ProfileInfo><Profile ProfileType="1"><Customer>
    <PersonName><GivenName>Jonas</GivenName><Surname>Weber</Surname></PersonName>
  </Customer></Profile></ProfileInfo></Profiles></ResGuest>
  <ResGuest PrimaryIndicator="true"><Profiles><ProfileInfo><UniqueID Type="1" ID="G-7"/>
    <Profile ProfileType="1"><Customer BirthDate="1988-04-02">
      <PersonName><GivenName>Anna</GivenName><Surname>Weber</Surname></PersonName>
      <Telephone PhoneTechType="3" PhoneNumber="+49 89 1"/>
      <Telephone PhoneTechType="5" CountryAccessCode="49" AreaCityCode="151"
        PhoneNumber="23456789"/>
      <Email>anna@example.com</Email>
      <CustLoyalty ProgramID="AIR" MembershipID="9"/>
      <CustLoyalty ProgramID="GRP" MembershipID="42"/>
    </Customer></Profile></ProfileInfo></Profiles></ResGuest>
</ResGuests>"""
GLOBAL = """<ResGlobalInfo>
  <HotelReservationIDs>
    <HotelReservationID ResID_Type="14" ResID_Value="CONF-1"/>
  </HotelReservationIDs>
  <Profiles>
    <ProfileInfo><UniqueID Type="3" ID="ACME"/><Profile ProfileType="3"/></ProfileInfo>
    <ProfileInfo><Profile ProfileType="4"><CompanyInfo><CompanyName Code="TA-1">Agency</CompanyName>
      </CompanyInfo></Profile></ProfileInfo>
  </Profiles>
  <BasicPropertyInfo HotelCode="MUC"/>{total}
</ResGlobalInfo>"""
TOTAL = '<Total AmountBeforeTax="200.00" AmountAfterTax="214.00" CurrencyCode="EUR"/>'
SERVICES = """<Services>
  <Service><Price><Base AmountBeforeTax="20" AmountAfterTax="23.80"/></Price></Service>
  <Service Inclusive="true"><Price><Base AmountAfterTax="9"/></Price></Service>
  <Service/></Services>"""


def reservation(
    status: str = "Checked-Out",
    *,
    total: str = TOTAL,
    services: str = SERVICES,
    whole: str = '<Total AmountAfterTax="237.80" CurrencyCode="EUR"/>',
    ids: str = '<UniqueID Type="14" ID="R-1"/>',
    span: str = '<TimeSpan Start="2026-03-27" End="2026-03-30"/>',
    pos: str = "",
) -> str:
    changed = 'LastModifyDateTime="2026-03-30T11:00:00+02:00"'
    return f"""<HotelReservation CreateDateTime="2026-02-01T10:00:00+01:00" {changed}
      ResStatus="{status}">{pos}{ids}
      <RoomStays><RoomStay>{CARD}{span}{total}</RoomStay></RoomStays>
      {services}{GUESTS}{GLOBAL.format(total=whole)}</HotelReservation>"""


def message(*reservations: str, name: str = "OTA_HotelResNotifRQ", attributes: str = "") -> Body:
    path = {
        "OTA_HotelResNotifRQ": "HotelReservations",
        "OTA_ResRetrieveRS": "ReservationsList",
    }[name]
    return Body(
        f'<?xml version="1.0"?><{name} {NS} Version="1.0" EchoToken="e&quot;1" {attributes}>'
        f"<{path}>{''.join(reservations)}</{path}></{name}>".encode()
    )


def revenue(code: str, amount: str, own: str = "", places: str = "") -> str:
    own = f'PMSRevenueCode="{own}"' if own else ""
    places = f'DecimalPlaces="{places}"' if places else ""
    return f"""<RevenueCategory RevenueCategoryCode="{code}"><RevenueDetails>
      <RevenueDetail TransactionDate="2026-03-28" Amount="{amount}" CurrencyCode="EUR"
        {own} {places}/>
      </RevenueDetails></RevenueCategory>"""


REVENUES = (
    revenue("9", "10000", places="2"),
    revenue("9", "100.00"),
    revenue("4", "30.00", own="BAR"),
    revenue("99", "14.00", own="VAT"),
    revenue("4", "-5.00", own="GOODWILL"),
    '<RevenueCategory RevenueCategoryCode="8"><SummaryAmount Amount="7.50"/></RevenueCategory>',
)


def stay(*revenues: str, number: str = "S-1") -> str:
    span = '<TimeSpan Start="2026-03-27" End="2026-03-30"/>'
    rooms = f"<RoomStays><RoomStay>{span}</RoomStay></RoomStays>"
    return f"""<StayInfo><ReservationID Type="14" ID="{number}"/>
      <HotelReservation>{rooms}{GUESTS}</HotelReservation>
      <RevenueCategories>{"".join(revenues)}</RevenueCategories></StayInfo>"""


def stays(*infos: str) -> Body:
    """A message whose root alone has the namespace, under a prefix: senders do."""
    root = "o:OTA_HotelStayInfoNotifRQ"
    prefixed = NS.replace("xmlns", "xmlns:o")
    inner = f'<StayInfos HotelCode="MUC">{"".join(infos)}</StayInfos>'
    return Body(f'<{root} {prefixed} TimeStamp="2026-03-30T12:00:00">{inner}</{root}>'.encode())


def soap(body: Body) -> Body:
    inner = body.raw.split(b"?>")[1]
    envelope = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/><s:Body>'
    )
    return Body(envelope + inner + b"</s:Body></s:Envelope>")


def as_tree(raw: bytes) -> Any:
    """Read XML as JSON values, for the mutator."""

    def told(node: ET.Element) -> Any:
        return [node.tag, dict(node.attrib), node.text or "", [told(child) for child in node]]

    return told(ET.fromstring(raw))


def as_xml(tree: Any) -> bytes:
    """Write what the mutator left of a tree; what is no element any more is its text."""

    def built(node: Any) -> ET.Element:
        match node:
            case [str(tag), dict(attributes), text, list(children)] if tag.strip():
                element = ET.Element(tag)
                for key, value in attributes.items():
                    element.set(key or "x", str(value))
                element.text = str(text)
                element.extend(built(child) for child in children)
                return element
        element = ET.Element("x")
        element.text = str(node)
        return element

    return ET.tostring(built(tree)).decode(errors="replace").encode(errors="replace")


class TestOpenTravel(DialectConformance):
    connector = connector
    connection = Connection(
        connection_id="hotel",
        config=OpenTravelConfig(
            outlets={"MUC": Outlet(time_zone="Europe/Berlin")},
            verifies={HintType.PHONE, HintType.EMAIL},
            programs={"GRP"},
            revenue_kinds={
                "category:9": LineKind.ROOM,
                "category:8": LineKind.CITY_TAX,
                "BAR": LineKind.ITEM,
                "VAT": LineKind.TAX,
                "GOODWILL": LineKind.REBATE,
            },
        ),
        secrets=("new", "old"),
        time_zone="UTC",
        currency="EUR",
    )
    signs_body = False
    bills_are_settled = False
    pushed = (
        message(reservation("Reserved")),
        message(reservation("Checked-Out")),
        stays(stay(*REVENUES)),
        message(reservation("No Show", ids='<UniqueID ID="R-2"/>')),
        message(reservation("Cancelled", ids='<UniqueID Type="15" ID="R-3"/>')),
        soap(message(reservation("Checked-Out"))),
    )
    pulled = (
        message(
            reservation("Checked-Out"),
            reservation("No Show", ids='<UniqueID ID="R-2"/>'),
            reservation("", ids='<UniqueID Type="15" ID="R-3"/>'),
            name="OTA_ResRetrieveRS",
        ),
        stays(stay(*REVENUES[:3]), stay(*REVENUES[3:])),
    )
    expected = frozenset(
        {
            FactKey("stay", "R-1"),
            FactKey("stay", "S-1"),
            FactKey("refund", "S-1/GOODWILL"),
            FactKey("stay_no_show", "R-2"),
            FactKey("stay_cancelled", "R-3"),
        }
    )
    broken = (
        (message(reservation(ids="")), "HotelReservation[0].UniqueID.ID"),
        (message(reservation(total="", whole="")), "RoomStays.RoomStay[0].Total.AmountAfterTax"),
        (
            message(reservation(total='<Total AmountAfterTax="214"/>')),
            "RoomStays.RoomStay[0].Total.AmountBeforeTax",
        ),
        (
            message(reservation(total='<Total AmountBeforeTax="2" AmountAfterTax="1"/>')),
            "RoomStays.RoomStay[0].Total.AmountBeforeTax",
        ),
        (
            message(reservation(whole='<Total AmountAfterTax="1"/>')),
            "ResGlobalInfo.Total.AmountAfterTax",
        ),
        (message(reservation(total="")), "ResGlobalInfo.Total.AmountBeforeTax"),
        (message(reservation(span="")), "TimeSpan.End"),
        (message(reservation(span='<TimeSpan Start="x" End="y"/>')), "TimeSpan[0].Start"),
        (stays(stay(revenue("1", "5"))), "RevenueCategory[0].RevenueCategoryCode"),
        (
            stays(stay(revenue("1", "5", own="GYM"))),
            "RevenueCategory[0].RevenueDetail[0].PMSRevenueCode",
        ),
        (stays(stay(revenue("9", "1,5"))), "RevenueCategory[0].RevenueDetail[0].Amount"),
        (
            stays(stay(revenue("9", "15", places="x"))),
            "RevenueCategory[0].RevenueDetail[0].DecimalPlaces",
        ),
        (Body(b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'), "body"),
        (Body(b'<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><a/>'), "body"),
        (Body(b'<?xml version="1.0" encoding="klingon"?><a/>'), "body"),
        (Body(b"<a>" * 100 + b"</a>" * 100), "body"),
    )
    refused = (
        (message(reservation("Reserved")), "reservation is Reserved"),
        (message(reservation("", ids='<UniqueID ID="1"/>')), "of no status"),
        (message(), "the message is empty"),
        (Body(b"<OTA_PingRQ/>"), "OTA_PingRQ says nothing"),
        (Body(b"<Envelope><Body/></Envelope>"), "the envelope is empty"),
    )
    checked = "only received"

    def sign(self, body: Body, secret: str | None) -> Inbound:
        headers = {}
        if secret is not None:
            given = base64.b64encode(f"switch:{secret}".encode()).decode()
            headers["authorization"] = f"Basic {given}"
        return Inbound(body=body.raw, headers=headers, url="https://hub.example/hooks/hotel")

    def upstream(self) -> CannedUpstream:
        return CannedUpstream({})

    async def stay_of(self, body: Body) -> CanonicalEvent:
        return (await self.events(body))[0]

    def test_the_token_may_be_in_the_url(self) -> None:
        for url in ("https://hub.example/h?token=new", "https://hub.example/h/old"):
            self.verify(Inbound(body=b"", headers={}, url=url))
        wrong = Inbound(
            body=b"", headers={"authorization": "Basic !"}, url="https://hub.example/h/old"
        )
        with pytest.raises(SignatureInvalid):
            self.verify(wrong)

    @pytest.mark.parametrize("wrap", [lambda body: body, soap])
    def test_a_message_is_answered_in_its_own_name(self, wrap: Any) -> None:
        assert isinstance(connector, Answering)
        reply = connector.answer(Outcome.ACCEPTED, self.sign(wrap(message()), "new"))
        document = as_tree(reply.body)
        if wrap is soap:
            document = document[3][0][3][0]
        assert document[0] == "{http://www.opentravel.org/OTA/2003/05}OTA_HotelResNotifRS"
        assert document[1]["EchoToken"] == 'e"1'
        assert document[3][0][0].endswith("Success")

    def test_what_is_not_understood_or_not_proven_is_answered_all_the_same(self) -> None:
        garbage = Inbound(body=b"{", headers={}, url="")
        assert connector.answer(Outcome.ACCEPTED, garbage).status == 200
        assert connector.answer(Outcome.SIGNATURE_INVALID, garbage).status == 401
        assert connector.answer(Outcome.UNAVAILABLE, garbage).status == 503

    async def test_no_card_number_gets_in(self) -> None:
        assert PAN.encode() in self.pushed[1].raw
        assert PAN not in repr(connector.decode(self.pushed[1].raw, None))
        assert PAN not in repr(await self.events(self.pushed[1]))

    async def test_before_and_after_tax_of_rooms_and_services(self) -> None:
        found = await self.stay_of(self.pushed[1])
        assert [(one.id, one.kind, one.net_minor, one.gross_minor) for one in found.lines] == [
            ("room-1", LineKind.ROOM, 20000, 21400),
            ("service-1", LineKind.ITEM, 2000, 2380),
        ]
        assert found.totals is not None
        assert (found.totals.tax_minor, found.totals.total_minor) == (1780, 23780)
        assert found.stay is not None
        assert (found.stay.confirmation, found.outlet) == ("CONF-1", "MUC")
        assert str(found.business_date) == "2026-03-30"
        # Summer time began the day before: noon in Berlin is ten o'clock.
        assert found.occurred_at.utctimetuple().tm_hour == 10

    @pytest.mark.parametrize(
        ("total", "net"),
        [
            ('<Total AmountAfterTax="107"><Taxes Amount="7"/></Total>', 10000),
            (
                '<Total AmountAfterTax="107"><Taxes><Tax Code="V" Amount="7"/></Taxes></Total>',
                10000,
            ),
            ('<Total AmountBeforeTax="100"/>', 10000),
            ('<Total AmountBeforeTax="10000" AmountAfterTax="10700" DecimalPlaces="2"/>', 10000),
            ('<Total AmountBeforeTax="0" AmountAfterTax="0"/>', 0),
        ],
    )
    async def test_prices_in_every_half(self, total: str, net: int) -> None:
        found = await self.stay_of(message(reservation(total=total, services="", whole="")))
        assert found.lines[0].net_minor == net

    async def test_a_price_after_tax_alone_needs_the_rate(self) -> None:
        config = OpenTravelConfig(tax_rate="0.07")
        body = message(reservation(total='<Total AmountAfterTax="107"/>', services="", whole=""))
        (event,) = connector.decode(body.raw, None)
        (found,) = connector.map(event, (), replace(self.connection, config=config))
        assert (found.lines[0].net_minor, found.lines[0].gross_minor) == (10000, 10700)

    async def test_a_cent_between_the_rooms_and_the_whole_is_a_line(self) -> None:
        whole = '<Total AmountAfterTax="237.81"/>'
        found = await self.stay_of(message(reservation(whole=whole)))
        assert (found.lines[-1].kind, found.lines[-1].net_minor) == (LineKind.ROUNDING, 1)

    async def test_revenue_is_summed_by_code_and_its_taxes_are_no_net(self) -> None:
        found, refund = await self.events(self.pushed[2])
        assert [(one.id, one.net_minor, one.gross_minor) for one in found.lines] == [
            ("category:9", 20000, 20000),
            ("BAR", 3000, 3000),
            ("VAT", 0, 1400),
            ("category:8", 750, 750),
        ]
        assert (refund.type, refund.fact.id) == (EventType.REFUND_RECORDED, "S-1/GOODWILL")
        assert refund.refund is not None
        assert (refund.refund.original, refund.refund.unallocated_minor) == (found.fact, 500)

    async def test_details_that_do_not_make_up_the_sum_are_named(self) -> None:
        part = revenue("9", "5").replace(
            "<RevenueDetails>", '<SummaryAmount Amount="9"/><RevenueDetails>'
        )
        with pytest.raises(Malformed) as caught:
            await self.events(stays(stay(part)))
        assert caught.value.field == "RevenueCategory[0].SummaryAmount.Amount"

    async def test_people_companies_and_agents(self) -> None:
        found = await self.stay_of(self.pushed[1])
        assert [(one.role, one.external_id) for one in found.parties] == [
            (Role.GUEST, "G-7"),
            (Role.ACCOMPANYING, None),
            (Role.PAYER_COMPANY, "ACME"),
            (Role.AGENT, "TA-1"),
        ]
        assert {hint.type: (hint.value, hint.verified) for hint in found.parties[0].hints} == {
            HintType.PHONE: ("+4915123456789", True),
            HintType.EMAIL: ("anna@example.com", True),
            HintType.NAME: ("Anna Weber", False),
            HintType.BIRTHDAY: ("1988-04-02", False),
            HintType.LOYALTY_ID: ("42", False),
        }

    async def test_a_channels_address_proves_nothing(self) -> None:
        pos = '<POS><Source><BookingChannel Type="7"/></Source></POS>'
        found = await self.stay_of(message(reservation(pos=pos)))
        hints = {hint.type: hint.verified for hint in found.parties[0].hints}
        assert not hints[HintType.EMAIL]

    async def test_a_cancelled_message_and_a_duration(self) -> None:
        span = '<TimeSpan Start="2026-03-27" Duration="P3N"/>'
        given_up = await self.stay_of(
            message(reservation("", span=span), attributes='ResStatus="Cancel"')
        )
        assert given_up.type is EventType.STAY_CANCELLED
        assert given_up.stay is not None
        assert str(given_up.stay.departure.date()) == "2026-03-30"
        assert given_up.lines == ()

    def test_other_encodings_are_read(self) -> None:
        text = '<?xml version="1.0" encoding="{}"?><a b="Zürich"/>'
        for encoding in ("utf-8", "iso-8859-1", "utf-16"):
            _, root = parse_xml(text.format(encoding).encode(encoding))
            assert root["@b"] == "Zürich"

    @pytest.mark.parametrize("use", ["<a>&e9;</a>", '<a b="&e9;"/>', "<a/>"])
    def test_nothing_expands(self, use: str) -> None:
        ten = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
        laughs = f'<!DOCTYPE a [<!ENTITY e0 "ha">{ten}]>{use}'
        with pytest.raises(Malformed):
            connector.decode(laughs.encode(), None)

    def test_nothing_is_fetched(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("told")
        for entity in (f'x SYSTEM "{secret.as_uri()}"', f'% x SYSTEM "{secret.as_uri()}"'):
            with pytest.raises(Malformed) as caught:
                connector.decode(f"<!DOCTYPE a [<!ENTITY {entity}>]><a>&x;</a>".encode(), None)
            assert "told" not in caught.value.message

    async def test_no_namespace_is_needed(self) -> None:
        bare = Body(self.pushed[1].raw.replace(NS.encode(), b""))
        assert await self.events(bare) == await self.events(self.pushed[1])
        with pytest.raises(Refused):
            connector.decode(b"<Other/>", None)

    @FUZZ
    @given(changed=mutant_bodies((*pushed, *pulled), read=as_tree, write=as_xml))
    async def test_whatever_comes_is_read_calmly(self, changed: Body) -> None:
        await read_calmly(self, changed)
