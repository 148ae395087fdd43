"""Mews customers and companies as parties and profile changes."""

from connectors.hotel.mews.config import MewsConfig
from connectors.hotel.mews.payload import Customer, StaySnapshot
from hub.connector import (
    CanonicalEvent,
    Connection,
    Hint,
    HintType,
    Party,
    Refused,
    Role,
    full_birthday,
    hints,
    person_name,
    profile_fact,
)


def stay_parties(snapshot: StaySnapshot, config: MewsConfig) -> tuple[Party, ...]:
    """Return the guest, the companies that pay, and the agency that brought them."""
    reservation = snapshot.reservation
    parties: list[Party] = []
    companies: list[str | None] = []
    if reservation.account_type == "Customer":
        known = {customer.id: customer for customer in snapshot.customers}
        guest = known.get(reservation.account_id)
        parties.append(
            guest_party(guest, config)
            if guest
            else Party(role=Role.GUEST, external_id=reservation.account_id)
        )
    else:
        companies.append(reservation.account_id)
    companies += [
        item.account_id for item in snapshot.order_items if item.account_type == "Company"
    ]
    companies.append(reservation.partner_company_id)
    parties += [
        Party(role=Role.PAYER_COMPANY, external_id=company)
        for company in dict.fromkeys(companies)
        if company
    ]
    if reservation.travel_agency_id:
        parties.append(Party(role=Role.AGENT, external_id=reservation.travel_agency_id))
    return tuple(parties)


def guest_party(customer: Customer, config: MewsConfig) -> Party:
    """Return the guest. The address that a booking site made up for them proves nothing."""
    found = hints(
        config,
        {
            HintType.PHONE: customer.phone,
            HintType.EMAIL: None if customer.has_ota_email else customer.email,
            HintType.NAME: person_name(customer.first_name, customer.last_name),
            HintType.BIRTHDAY: full_birthday(customer.birth_date),
            HintType.LOYALTY_ID: customer.loyalty_code,
        },
    )
    if customer.has_ota_email and customer.email:
        found += (Hint(type=HintType.EMAIL, value=customer.email),)
    return Party(role=Role.GUEST, external_id=customer.id, hints=found)


def profile_changed(customer: Customer, connection: Connection) -> CanonicalEvent:
    """Return the guest's state; raises Refused for a profile that was merged into another."""
    if customer.merge_target_id:
        raise Refused(f"the profile was merged into {customer.merge_target_id}")
    return profile_fact(
        guest_party(customer, connection.config), connection, changed_at=customer.updated_utc
    )
