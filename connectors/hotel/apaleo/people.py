"""The guests and companies of an Apaleo reservation as parties."""

from connectors.hotel.apaleo.config import DIRECT_CHANNELS, ApaleoConfig
from connectors.hotel.apaleo.payload import Guest, StaySnapshot
from hub.connector import Hint, HintType, Party, Role, full_birthday, hints, person_name


def stay_parties(snapshot: StaySnapshot, config: ApaleoConfig) -> tuple[Party, ...]:
    """Return the guest, who came along, and the companies that pay."""
    reservation = snapshot.reservation
    direct = reservation.channel_code in DIRECT_CHANNELS
    parties: list[Party] = []
    if reservation.primary_guest is not None:
        parties.append(_person(reservation.primary_guest, Role.GUEST, config, direct=direct))
    parties += [
        _person(guest, Role.ACCOMPANYING, config, direct=direct)
        for guest in reservation.additional_guests
    ]
    companies = [reservation.company, *(folio.company for folio in snapshot.folios)]
    parties += [
        Party(role=Role.PAYER_COMPANY, external_id=company)
        for company in dict.fromkeys(one.id for one in companies if one is not None)
    ]
    return tuple(parties)


def _person(guest: Guest, role: Role, config: ApaleoConfig, *, direct: bool) -> Party:
    """Return a guest. An address that came through a channel proves nothing: channels make them
    up, one for each booking.
    """
    found = hints(
        config,
        {
            HintType.PHONE: guest.phone,
            HintType.EMAIL: guest.email if direct else None,
            HintType.NAME: person_name(guest.first_name, guest.last_name),
            HintType.BIRTHDAY: full_birthday(guest.birth_date),
        },
    )
    if not direct and guest.email and guest.email.strip():
        found += (Hint(type=HintType.EMAIL, value=guest.email.strip()),)
    return Party(role=role, external_id=None, hints=found)
