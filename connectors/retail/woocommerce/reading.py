"""What a body is about: webhooks name it in a header, pages of the API by what they hold."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.retail.woocommerce.payload import utc
from hub.connector import Refused, SourceEvent, parse_json, version_at
from hub.errors import Malformed

_ORDERS = ("order.created", "order.updated", "order.restored", "orders")
_CUSTOMERS = ("customer.created", "customer.updated", "customers")
_DELETED = ("order.deleted", "customer.deleted")


def decode_body(body: bytes, topic: str | None) -> Sequence[SourceEvent]:
    """Read a webhook body, a resource or a page of them; see Connector.decode."""
    parsed = parse_json(body)
    if topic in _DELETED:
        raise Refused(f"{topic} says only that the shop tidied up, and no money moved")
    if topic is not None and topic not in (*_ORDERS, *_CUSTOMERS):
        raise Refused(f"topic {topic} says nothing about sales or customers")
    if isinstance(parsed, list):
        return [_event(item, topic, f"[{i}]") for i, item in enumerate(parsed)]
    return [_event(parsed, topic, "")]


def _event(document: Any, topic: str | None, path: str) -> SourceEvent:
    if not isinstance(document, dict):
        raise Malformed("a JSON object was expected", field=path or "body")
    entity = _entity(document, topic)
    prefix = f"{path}." if path else ""
    entity_id = document.get("id")
    # It becomes a part of a path that is asked for.
    number = "" if isinstance(entity_id, bool) else str(entity_id)
    if not (number.isascii() and number.isdecimal() and number.strip("0")):
        raise Malformed("a number was expected", field=f"{prefix}id")
    stated = document.get("date_modified_gmt") or document.get("date_created_gmt")
    return SourceEvent(
        type=topic or entity,
        entity=entity,
        entity_id=number,
        version=version_at(_instant(stated)),
        snapshot=None if entity == "order" and _needs_refunds(document) else document,
    )


def _entity(document: Mapping[str, Any], topic: str | None) -> str:
    """Say what a document is; without a topic its own fields tell."""
    if isinstance(document.get("order"), Mapping) or isinstance(document.get("customer"), Mapping):
        raise Refused("this is the legacy API's form; set the webhook's API version to v3")
    if topic is not None:
        return "order" if topic in _ORDERS else "customer"
    if "refunded_by" in document:
        raise Refused("a refund is read with its order")
    if "status" in document and "line_items" in document:
        return "order"
    if "role" in document and "email" in document:
        return "customer"
    raise Refused(f"{next(iter(document), 'an empty object')} is no order or customer")


def _instant(stated: Any) -> datetime | None:
    """Read the time that orders snapshots; what is wrong with it is said when it is mapped."""
    try:
        return utc(datetime.fromisoformat(stated))
    except (TypeError, ValueError):
        return None


def _needs_refunds(order: Mapping[str, Any]) -> bool:
    """An order lists its refunds' totals; their times and lines must be asked for."""
    told = bool(order.get("refunds")) or order.get("status") == "refunded"
    return told and "refund_details" not in order
