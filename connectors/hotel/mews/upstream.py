"""What is asked of the Connector API. Every call is a POST that carries its credentials."""

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.hotel.mews.config import MewsConfig
from hub.connector import Answered, Refused, UpstreamClient, parse_object
from hub.errors import Malformed

_API = "/api/connector/v1"
PAGE = 1000
ENDED = ("Processed", "Canceled")
CUSTOMERS_ONLY: Mapping[str, bool] = {"Customers": True, "Documents": False, "Addresses": False}


async def ask(
    client: UpstreamClient, config: MewsConfig, operation: str, **body: object
) -> Mapping[str, Any]:
    """Call one operation; raises Malformed when it does not answer with an object."""
    answer = await fetch(client, config, operation, **body)
    return parse_object(answer.body)


async def fetch(
    client: UpstreamClient, config: MewsConfig, operation: str, **body: object
) -> Answered:
    """Call one operation with the credentials, and return its answer as it came."""
    secrets = {"ClientToken": config.client_token, "AccessToken": config.access_token}
    credentials = {
        name: secret.get_secret_value() for name, secret in secrets.items() if secret is not None
    }
    return await client.fetch(
        "POST", f"{_API}/{operation}", json={**credentials, "Client": config.client, **body}
    )


async def fetch_stay(
    client: UpstreamClient, config: MewsConfig, reservation_id: str
) -> Mapping[str, Any]:
    """Fetch a reservation and, once it is over, its items, payments and guest.

    Raises Refused for a service order that is no reservation.
    """
    found = await _pages(
        client,
        config,
        "reservations/getAll/2023-06-06",
        "Reservations",
        ReservationIds=[reservation_id],
    )
    if not found:
        raise Refused(f"service order {reservation_id} is no reservation")
    reservation = found[0]
    if reservation.get("State") not in ENDED:
        return {"reservation": reservation}
    items = await _pages(
        client, config, "orderItems/getAll", "OrderItems", ServiceOrderIds=[reservation_id]
    )
    payments = await _pages(
        client, config, "payments/getAll", "Payments", ReservationIds=[reservation_id]
    )
    customers = []
    if reservation.get("AccountType") == "Customer":
        customers = await _customers(client, config, str(reservation.get("AccountId")))
    return {
        "reservation": reservation,
        "order_items": items,
        "payments": payments,
        "customers": customers,
    }


async def fetch_customer(
    client: UpstreamClient, config: MewsConfig, customer_id: str
) -> Mapping[str, Any]:
    """Fetch one customer; raises Refused when there is none any more."""
    found = await _customers(client, config, customer_id)
    if not found:
        raise Refused(f"customer {customer_id} is gone")
    return found[0]


async def _customers(
    client: UpstreamClient, config: MewsConfig, customer_id: str
) -> list[Mapping[str, Any]]:
    return await _pages(
        client,
        config,
        "customers/getAll",
        "Customers",
        CustomerIds=[customer_id],
        Extent=CUSTOMERS_ONLY,
    )


async def _pages(
    client: UpstreamClient,
    config: MewsConfig,
    operation: str,
    key: str,
    **query: Sequence[str] | Mapping[str, bool],
) -> list[Mapping[str, Any]]:
    """Fetch all pages. A cursor comes with the last page too; only a full page has a next one."""
    found: list[Mapping[str, Any]] = []
    cursor: str | None = None
    while True:
        limit = {"Count": PAGE, **({"Cursor": cursor} if cursor else {})}
        answer = await ask(client, config, operation, Limitation=limit, **query)
        page = answer.get(key) or []
        if not isinstance(page, list) or not all(isinstance(one, Mapping) for one in page):
            raise Malformed("a list of JSON objects was expected", field=key)
        found += page
        cursor = answer.get("Cursor")
        if len(page) < PAGE or not cursor:
            return found
