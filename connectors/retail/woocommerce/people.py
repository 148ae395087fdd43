"""Who bought, and what the shop knows of its customers.

WooCommerce proves nothing: an account's address is as typed, and what an order bills is typed anew
each time. Only a customer's own record can be proven, by a shop that states so in `verifies`.
"""

from collections.abc import Mapping

from connectors.retail.woocommerce.payload import Customer, OrderDocument, utc
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

_NOBODY = ("0", "")


def order_parties(order: OrderDocument) -> tuple[Party, ...]:
    """Return who bought; an order without account has hints alone."""
    billing = order.billing
    typed = _unproven(
        {
            HintType.EMAIL: billing.email,
            HintType.PHONE: billing.phone,
            HintType.NAME: person_name(billing.first_name, billing.last_name),
        }
    )
    known = None if order.customer_id in _NOBODY else order.customer_id
    if known is None and not typed:
        return ()
    return (Party(role=Role.PURCHASER, external_id=known, hints=typed),)


def _unproven(found: Mapping[HintType, str | None]) -> tuple[Hint, ...]:
    return tuple(
        Hint(type=kind, value=value.strip())
        for kind, value in found.items()
        if value and value.strip()
    )


def profile_changed(customer: Customer, connection: Connection) -> CanonicalEvent:
    """Return the customer's state; each state is a fact of its own, named by when it came about."""
    changed = customer.date_modified_gmt or customer.date_created_gmt
    if changed is None:
        raise Malformed("a customer's state needs its time", field="date_modified_gmt")
    name = person_name(customer.first_name, customer.last_name)
    billing = customer.billing
    found = hints(
        connection.config,
        {
            HintType.EMAIL: customer.email,
            HintType.PHONE: billing.phone,
            HintType.NAME: name or person_name(billing.first_name, billing.last_name),
        },
    )
    return profile_fact(
        Party(role=Role.PURCHASER, external_id=customer.id, hints=found),
        connection,
        changed_at=utc(changed),
    )
