"""Square customers as parties and profile changes."""

from connectors.dining.square.config import SquareConfig
from connectors.dining.square.payload import Customer
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    HintType,
    Party,
    Role,
    full_birthday,
    hints,
    person_name,
    trading_day,
    version_at,
)
from hub.errors import Malformed


def purchaser(
    customer_id: str | None, customer: Customer | None, config: SquareConfig
) -> tuple[Party, ...]:
    """Return who paid, as far as the order or payment knows; nobody is an answer too."""
    if customer is not None:
        return (_party(customer, config),)
    if customer_id:
        return (Party(role=Role.PURCHASER, external_id=customer_id),)
    return ()


def profile_changed(customer: Customer, connection: Connection) -> CanonicalEvent:
    """Return the customer's state; each version is a fact of its own."""
    if customer.updated_at is None:
        raise Malformed("a customer's state needs its time", field="updated_at")
    version = customer.version
    if version is None:
        version = version_at(customer.updated_at)
    return CanonicalEvent(
        type=EventType.PROFILE_CHANGED,
        fact=FactKey("profile", f"{customer.id}@{version}"),
        occurred_at=customer.updated_at,
        business_date=trading_day(connection, None, customer.updated_at),
        entity="customer",
        entity_id=customer.id,
        source_version=version,
        parties=(_party(customer, connection.config),),
    )


def _party(customer: Customer, config: SquareConfig) -> Party:
    found = {
        HintType.PHONE: customer.phone_number,
        HintType.EMAIL: customer.email_address,
        HintType.NAME: person_name(customer.given_name, customer.family_name),
        HintType.BIRTHDAY: full_birthday(customer.birthday),
    }
    return Party(role=Role.PURCHASER, external_id=customer.id, hints=hints(config, found))
