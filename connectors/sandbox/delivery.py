"""Deliveries as the three systems send them: what is signed, by which header, to which URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from hub.connector import hmac_sha256_base64

SYSTEMS = ("shopify", "mews", "square")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One webhook, unsigned: the hub it will go to is not known yet."""

    system: str
    sent_at: datetime
    body: bytes
    topic: str | None = None
    transport_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """One HTTP POST, ready to be sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def identifier(*parts: object) -> str:
    """Return a UUID that the parts determine: the same world has the same ids, run after run."""
    return str(uuid5(NAMESPACE_URL, ":".join(map(str, parts))))


def sign(delivery: Delivery, *, url: str, secret: str, copy: int = 0) -> Signed:
    """Sign a delivery for `url` the way its system does. A further `copy` of a Shopify webhook
    has an id of its own, as a second subscription's would.
    """
    headers = {"content-type": "application/json"}
    if delivery.system == "shopify":
        transport = identifier(delivery.transport_id, copy) if copy else delivery.transport_id
        headers |= {
            "x-shopify-topic": delivery.topic or "",
            "x-shopify-hmac-sha256": hmac_sha256_base64(secret, delivery.body),
            "x-shopify-webhook-id": transport,
            "x-shopify-event-id": identifier(delivery.transport_id, "event"),
            "x-shopify-triggered-at": delivery.sent_at.isoformat(),
        }
    elif delivery.system == "square":
        signature = hmac_sha256_base64(secret, url.encode() + delivery.body)
        headers["x-square-hmacsha256-signature"] = signature
    else:
        url = f"{url}?token={secret}"
    return Signed(url=url, headers=headers, body=delivery.body)
