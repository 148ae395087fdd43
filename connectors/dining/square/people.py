"""Square customers as parties and profile changes."""

from connectors.dining.square.config import SquareConfig
from connectors.dining.square.payload import Customer
from hub.connector import (
    CanonicalEvent,
    Connection,
    HintType,
    Party,
    Role,
    full_birthday,
    hints,
    person_name,
    profile_fact,
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
    return profile_fact(
        _party(customer, connection.config),
        connection,
        changed_at=customer.updated_at,
        version=customer.version,
    )


def _party(customer: Customer, config: SquareConfig) -> Party:
    found = {
        HintType.PHONE: customer.phone_number,
        HintType.EMAIL: customer.email_address,
        HintType.NAME: person_name(customer.given_name, customer.family_name),
        HintType.BIRTHDAY: full_birthday(customer.birthday),
    }
    return Party(role=Role.PURCHASER, external_id=customer.id, hints=hints(config, found))
