"""OPERA's profiles as parties and profile changes."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from connectors.hotel.ohip.config import OhipConfig
from connectors.hotel.ohip.payload import Id, Profile, ProfileSnapshot, StaySnapshot
from hub.connector import (
    CanonicalEvent,
    Connection,
    HintType,
    Party,
    Refused,
    Role,
    SourceEvent,
    full_birthday,
    hints,
    local_instant,
    person_name,
    profile_fact,
)
from hub.errors import Malformed

_ROLES = {
    "company": Role.PAYER_COMPANY,
    "travelagent": Role.AGENT,
    "source": Role.AGENT,
    "group": Role.GROUP_MASTER,
}
_NO_VOICE = ("FAX", "PAGER", "EMAIL", "WEB")


def stay_parties(snapshot: StaySnapshot, config: OhipConfig) -> tuple[Party, ...]:
    """Return the guest with all that their profile says, who came along, and who is behind it."""
    guests = snapshot.reservation.reservation_guests or ()
    primary = next((guest for guest in guests if guest.primary), guests[0] if guests else None)
    parties: list[Party] = []
    for guest in guests:
        info = guest.profile_info
        found = info.profile if info else None
        if guest is primary:
            found = snapshot.profile or found
        parties.append(
            _person(
                found or Profile(),
                profile_id(info.profile_id_list if info else None),
                Role.GUEST if guest is primary else Role.ACCOMPANYING,
                config,
            )
        )
    parties.sort(key=lambda party: party.role is not Role.GUEST)
    attached = (
        *(snapshot.reservation.attached_profiles or ()),
        *snapshot.reservation.reservation_profiles,
    )
    behind = [
        (_ROLES.get((one.reservation_profile_type or "").lower()), profile_id(one.profile_id_list))
        for one in attached
    ]
    return (
        *parties,
        *(
            Party(role=role, external_id=external_id)
            for role, external_id in dict.fromkeys(behind)
            if role is not None and external_id is not None
        ),
    )


def profile_id(ids: Sequence[Id] | None) -> str | None:
    """Return the profile's own id among those it is known by."""
    found = [one.id for one in ids or () if (one.type or "Profile").lower() in ("profile", "guest")]
    return found[0] if found and found[0] else None


def _person(profile: Profile, external_id: str | None, role: Role, config: OhipConfig) -> Party:
    customer = profile.customer
    names = (customer.person_name if customer else None) or ()
    name = next(
        (one for one in names if (one.name_type or "").lower() == "primary"),
        names[0] if names else None,
    )
    phones = [
        (one.telephone.primary_ind, one.telephone.phone_number)
        for one in profile.telephones
        if one.telephone and (one.telephone.phone_tech_type or "").upper() not in _NO_VOICE
    ]
    emails = [
        (one.email.primary_ind, one.email.email_address) for one in profile.emails if one.email
    ]
    card = next(
        (
            one.membership_id
            for one in profile.profile_memberships
            if one.membership_type in config.membership_types and not one.inactive
        ),
        None,
    )
    found = hints(
        config,
        {
            HintType.PHONE: _first(phones),
            HintType.EMAIL: _first(emails),
            HintType.NAME: person_name(name.given_name, name.surname) if name else None,
            HintType.BIRTHDAY: full_birthday(customer.birth_date if customer else None),
            HintType.LOYALTY_ID: card,
        },
    )
    return Party(role=role, external_id=external_id, hints=found)


def _first(values: Sequence[tuple[bool | None, str | None]]) -> str | None:
    """Return the primary one, or else the first that is not empty."""
    known = [(bool(primary), value) for primary, value in values if value and value.strip()]
    return next((value for primary, value in known if primary), known[0][1] if known else None)


def profile_changed(
    snapshot: ProfileSnapshot, event: SourceEvent, connection: Connection
) -> CanonicalEvent:
    """Return the guest's state; raises Refused for the profile of a company, an agent, a group."""
    profile = snapshot.profile
    if (profile.profile_type or "guest").lower() not in ("guest", "individual"):
        raise Refused(f"the profile is of a {profile.profile_type}")
    _, _, number = event.entity_id.rpartition("/")
    return profile_fact(
        _person(profile, number, Role.GUEST, connection.config),
        connection,
        changed_at=_changed_at(profile, connection),
        entity="profile",
        entity_id=event.entity_id,
    )


def _changed_at(profile: Profile, connection: Connection) -> datetime:
    if not profile.last_modify_date_time:
        raise Malformed("nothing says when", field="profile.lastModifyDateTime")
    zone = ZoneInfo(connection.time_zone)
    return local_instant(profile.last_modify_date_time, zone, "profile.lastModifyDateTime")
