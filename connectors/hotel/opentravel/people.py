"""Guests, companies and agents of an OpenTravel reservation as parties."""

from collections.abc import Sequence

from connectors.hotel.opentravel.config import OpenTravelConfig
from connectors.hotel.opentravel.xml import Node, attribute, every, first, text_of
from hub.connector import Hint, HintType, Party, Role, full_birthday, hints, person_name

# OpenTravel code lists "Profile Type" and "Phone Technology Type".
_ROLES = {
    "3": Role.PAYER_COMPANY,
    "4": Role.AGENT,
    "5": Role.AGENT,
    "6": Role.GROUP_MASTER,
}
_VOICE, _MOBILE = "1", "5"


def stay_parties(
    reservation: Node, config: OpenTravelConfig, *, channelled: bool
) -> tuple[Party, ...]:
    """Return the guest, who came along, and the companies and agents behind the booking."""
    people = [
        (guest, info)
        for guest in every(reservation, "ResGuests", "ResGuest")
        for info in every(guest, "Profiles", "ProfileInfo")
        if first(info, "Profile", "Customer")
    ]
    people.sort(key=lambda one: attribute(one[0], "PrimaryIndicator") not in ("true", "1"))
    parties = [
        _person(info, Role.ACCOMPANYING if n else Role.GUEST, config, channelled=channelled)
        for n, (_, info) in enumerate(people)
    ]
    behind = [
        *every(reservation, "ResGuests", "ResGuest", "Profiles", "ProfileInfo"),
        *every(reservation, "ResGlobalInfo", "Profiles", "ProfileInfo"),
    ]
    for info in behind:
        profile = first(info, "Profile")
        role = _ROLES.get(attribute(profile, "ProfileType") or "")
        named = first(profile, "CompanyInfo", "CompanyName")
        external_id = _id(info) or attribute(named, "Code")
        if role is not None and external_id is not None:
            parties.append(Party(role=role, external_id=external_id))
    return tuple(dict.fromkeys(parties))


def _id(info: Node) -> str | None:
    return next((found for one in every(info, "UniqueID") if (found := attribute(one, "ID"))), None)


def _person(info: Node, role: Role, config: OpenTravelConfig, *, channelled: bool) -> Party:
    """Return a guest. What came through a channel proves nothing of an address: channels make them
    up, one for each booking.
    """
    customer = first(info, "Profile", "Customer")
    name = first(customer, "PersonName")
    email = next((text for one in every(customer, "Email") if (text := text_of(one))), None)
    cards = (
        attribute(one, "MembershipID")
        for one in every(customer, "CustLoyalty")
        if attribute(one, "ProgramID") in config.programs
    )
    found = hints(
        config,
        {
            HintType.PHONE: _phone(every(customer, "Telephone")),
            HintType.EMAIL: None if channelled else email,
            HintType.NAME: person_name(
                text_of(first(name, "GivenName")), text_of(first(name, "Surname"))
            ),
            HintType.BIRTHDAY: full_birthday(attribute(customer, "BirthDate")),
            HintType.LOYALTY_ID: next((card for card in cards if card), None),
        },
    )
    if channelled and email:
        found += (Hint(type=HintType.EMAIL, value=email),)
    return Party(role=role, external_id=_id(info), hints=found)


def _phone(telephones: Sequence[Node]) -> str | None:
    """Return a number that a person answers, a mobile first; one in parts is put together."""
    for wanted in (_MOBILE, _VOICE, None):
        for one in telephones:
            number = attribute(one, "PhoneNumber")
            if number and attribute(one, "PhoneTechType") == wanted:
                country = attribute(one, "CountryAccessCode")
                if number.startswith("+") or country is None:
                    return number
                area = attribute(one, "AreaCityCode") or ""
                return f"+{country.removeprefix('+')}{area}{number}"
    return None
