"""What is asked of the Connector API. Every call is a POST that carries its credentials."""

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.hotel.mews.config import MewsConfig
from hub.connector import Refused, UpstreamClient
from hub.errors import Malformed

_API = "/api/connector/v1"
_PAGE = 1000
ENDED = ("Processed", "Canceled")


async def ask(
    client: UpstreamClient, config: MewsConfig, operation: str, **body: object
) -> Mapping[str, Any]:
    """Call one operation; raises Malformed when it does not answer with an object."""
    secrets = {"ClientToken": config.client_token, "AccessToken": config.access_token}
    credentials = {
        name: secret.get_secret_value() for name, secret in secrets.items() if secret is not None
    }
    answer = await client.request(
        "POST", f"{_API}/{operation}", json={**credentials, "Client": config.client, **body}
    )
    if not isinstance(answer, Mapping):
        raise Malformed("a JSON object was expected", field=operation)
    return answer


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
    extent = {"Customers": True, "Documents": False, "Addresses": False}
    return await _pages(
        client,
        config,
        "customers/getAll",
        "Customers",
        CustomerIds=[customer_id],
        Extent=extent,
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
        limit = {"Count": _PAGE, **({"Cursor": cursor} if cursor else {})}
        answer = await ask(client, config, operation, Limitation=limit, **query)
        page = answer.get(key) or []
        found += page
        cursor = answer.get("Cursor")
        if len(page) < _PAGE or not cursor:
            return found
