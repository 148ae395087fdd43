"""Shopify customers as parties and profile changes."""

from connectors.retail.shopify.config import ShopifyConfig
from connectors.retail.shopify.payload import Customer, OrderDocument
from hub.connector import (
    CanonicalEvent,
    Connection,
    Hint,
    HintType,
    Party,
    Role,
    hints,
    person_name,
    profile_fact,
)
from hub.errors import Malformed


def customer_party(customer: Customer, config: ShopifyConfig) -> Party:
    """Return the purchaser. Shopify says of an email, and of nothing else, that it is verified."""
    email: tuple[Hint, ...] = ()
    if customer.email:
        proven = customer.verified_email or HintType.EMAIL in config.verifies
        email = (Hint(type=HintType.EMAIL, value=customer.email, verified=proven),)
    others = hints(
        config,
        {
            HintType.PHONE: customer.phone,
            HintType.NAME: person_name(customer.first_name, customer.last_name),
        },
    )
    return Party(role=Role.PURCHASER, external_id=customer.id, hints=email + others)


def order_parties(order: OrderDocument, config: ShopifyConfig) -> tuple[Party, ...]:
    """Return who bought. An address typed at a guest checkout proves nothing about anyone."""
    if order.customer is not None:
        return (customer_party(order.customer, config),)
    typed = tuple(
        Hint(type=kind, value=value)
        for kind, value in ((HintType.EMAIL, order.email), (HintType.PHONE, order.phone))
        if value
    )
    return (Party(role=Role.PURCHASER, external_id=None, hints=typed),) if typed else ()


def profile_changed(customer: Customer, connection: Connection) -> CanonicalEvent:
    """Return the customer's state; each state is a fact of its own, named by when it came about."""
    if customer.updated_at is None:
        raise Malformed("a customer's state needs its time", field="updated_at")
    return profile_fact(
        customer_party(customer, connection.config), connection, changed_at=customer.updated_at
    )
