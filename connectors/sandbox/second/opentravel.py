"""The second world in OpenTravel's messages: stays as XML, with the payment card that senders leave
in, and nothing to ask.
"""

from datetime import datetime, timedelta
from xml.sax.saxutils import escape

from connectors.sandbox.people import Person
from connectors.sandbox.second.accounts import HOTEL
from connectors.sandbox.second.plot import Visit
from connectors.sandbox.second.teller import Teller
from connectors.sandbox.stage import ZONE
from connectors.sandbox.writing import text

CARD_NUMBER = "4111111111111111"
"""A number that schemes keep for tests: it looks like a card's and is nobody's."""
_NAMESPACE = "http://www.opentravel.org/OTA/2003/05"
_FACT = {"stayed": "stay", "cancelled": "stay_cancelled", "no_show": "stay_no_show"}


class OpenTravel(Teller):
    """A hotel's central reservation system."""

    system = "opentravel"

    def tell(self) -> None:
        """Send each reservation when it is booked, and what became of it."""
        for visit in self.plot.visits:
            self.expected.update({_FACT[visit.outcome]: 1})
            if visit.rebate_minor:
                self.expected.update(refund=1)
            booked = visit.arrival - timedelta(days=9)
            self.send(booked, self._reservation(visit, "Reserved", booked))
            if visit.outcome == "stayed":
                self.send(visit.departure, self._stay(visit))
            elif visit.outcome == "cancelled":
                at = visit.arrival - timedelta(hours=30)
                self.send(at, self._reservation(visit, "Cancelled", at))
            else:
                at = visit.arrival + timedelta(hours=11)
                self.send(at, self._reservation(visit, "No-show", at))

    def _reservation(self, visit: Visit, status: str, at: datetime) -> bytes:
        card = f'<PaymentCard CardCode="VI" CardNumber="{CARD_NUMBER}" ExpireDate="0930"/>'
        paid = f"<GuaranteeAccepted>{card}</GuaranteeAccepted>"
        guarantee = f"<Guarantee><GuaranteesAccepted>{paid}</GuaranteesAccepted></Guarantee>"
        typed = f"<Comments><Comment><Text>card {_grouped(CARD_NUMBER)}</Text></Comment></Comments>"
        inner = f"""<HotelReservations>
<HotelReservation ResStatus="{status}" LastModifyDateTime="{_time(at)}">
<UniqueID Type="14" ID="{visit.number}"/>
<RoomStays><RoomStay>{guarantee}{_span(visit)}{typed}</RoomStay></RoomStays>
{_guest(visit.person)}
<ResGlobalInfo><BasicPropertyInfo HotelCode="{HOTEL}"/></ResGlobalInfo>
</HotelReservation></HotelReservations>"""
        return _message("OTA_HotelResNotifRQ", inner, at, self.id("echo", len(self.deliveries)))

    def _stay(self, visit: Visit) -> bytes:
        revenues = [_revenue("9", visit.rate_minor, "ROOM") for _ in range(visit.nights)]
        revenues += [_revenue("4", minor, "RESTAURANT") for minor in (visit.dinner_minor,) if minor]
        if visit.rebate_minor:
            revenues.append(_revenue("9", -visit.rebate_minor, "GOODWILL"))
        inner = f"""<StayInfos HotelCode="{HOTEL}"><StayInfo>
<ReservationID Type="14" ID="{visit.number}"/>
<HotelReservation LastModifyDateTime="{_time(visit.departure)}">
<RoomStays><RoomStay>{_span(visit)}</RoomStay></RoomStays>{_guest(visit.person)}
</HotelReservation>
<RevenueCategories>{"".join(revenues)}</RevenueCategories>
</StayInfo></StayInfos>"""
        echo = self.id("echo", len(self.deliveries))
        return _message("OTA_HotelStayInfoNotifRQ", inner, visit.departure, echo)


def _message(name: str, inner: str, at: datetime, echo: str) -> bytes:
    said = f'xmlns="{_NAMESPACE}" Version="1.0" TimeStamp="{_time(at)}" EchoToken="{echo}"'
    return f'<?xml version="1.0" encoding="UTF-8"?><{name} {said}>{inner}</{name}>'.encode()


def _span(visit: Visit) -> str:
    arrival, departure = (
        one.astimezone(ZONE).date().isoformat() for one in (visit.arrival, visit.departure)
    )
    return f'<TimeSpan Start="{arrival}" End="{departure}"/>'


def _guest(person: Person) -> str:
    name = (
        f"<PersonName><GivenName>{escape(person.given)}</GivenName>"
        f"<Surname>{escape(person.family)}</Surname></PersonName>"
    )
    reached = (
        f'<Telephone PhoneTechType="5" PhoneNumber="{person.phone}"/>'
        f"<Email>{escape(person.email)}</Email>"
    )
    customer = f'<Customer BirthDate="{person.birthday}">{name}{reached}</Customer>'
    profile = f'<Profile ProfileType="1">{customer}</Profile>'
    known = f'<UniqueID Type="1" ID="G-{person.number}"/>'
    inner = f"<ProfileInfo>{known}{profile}</ProfileInfo>"
    guest = f'<ResGuest PrimaryIndicator="true"><Profiles>{inner}</Profiles></ResGuest>'
    return f"<ResGuests>{guest}</ResGuests>"


def _revenue(category: str, minor: int, own: str) -> str:
    detail = f'<RevenueDetail Amount="{text(minor)}" CurrencyCode="CNY" PMSRevenueCode="{own}"/>'
    return (
        f'<RevenueCategory RevenueCategoryCode="{category}">'
        f"<RevenueDetails>{detail}</RevenueDetails></RevenueCategory>"
    )


def _grouped(digits: str) -> str:
    return " ".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def _time(instant: datetime) -> str:
    return instant.astimezone(ZONE).isoformat(timespec="seconds")
