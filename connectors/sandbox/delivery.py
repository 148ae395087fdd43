"""Deliveries as the systems send them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

SYSTEMS = ("shopify", "mews", "square")
"""The systems of the sample group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One webhook, unsigned: the hub it will go to is not known yet."""

    system: str
    sent_at: datetime
    body: bytes
    topic: str | None = None
    transport_id: str


def identifier(*parts: object) -> str:
    """Return a UUID that the parts determine: the same world has the same ids, run after run."""
    return str(uuid5(NAMESPACE_URL, ":".join(map(str, parts))))
