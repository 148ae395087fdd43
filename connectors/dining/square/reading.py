"""From a Square body to source events: webhooks, API objects, and pages of either."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub.connector import Refused, SourceEvent, require_mapping, version_at, zoned_instant
from hub.errors import Malformed

_KINDS = ("order", "payment", "refund", "customer")
_EVENTS = {
    "order.created": "order_created",
    "order.updated": "order_updated",
    "payment.created": "payment",
    "payment.updated": "payment",
    "refund.created": "refund",
    "refund.updated": "refund",
    "customer.created": "customer",
    "customer.updated": "customer",
}


def decode_body(body: Mapping[str, Any]) -> Sequence[SourceEvent]:
    """Read a body; raises Malformed naming the field, Refused when nothing in it concerns us."""
    if "event_id" in body or "data" in body:
        return [_webhook(body, "")]
    if isinstance(body.get("events"), list):
        return _page_of_events(body["events"])
    for kind in _KINDS:
        if kind in body:
            return [_object(kind, kind, body[kind], kind)]
        page = body.get(f"{kind}s")
        if isinstance(page, list):
            return [_object(kind, kind, one, f"{kind}s[{i}]") for i, one in enumerate(page)]
    raise Refused(f"{next(iter(body), 'an empty object')} is no order, payment, refund or customer")


def _page_of_events(page: list[Any]) -> list[SourceEvent]:
    found = []
    passed_over = []
    for i, one in enumerate(page):
        try:
            found.append(_webhook(require_mapping(one, f"events[{i}]"), f"events[{i}]."))
        except Refused as reason:
            passed_over.append(reason.message)
    if not found:
        raise Refused("; ".join(passed_over) or "the page is empty")
    return found


def _webhook(envelope: Mapping[str, Any], at: str) -> SourceEvent:
    event_type = _text(envelope, "type", at)
    if event_type not in _EVENTS:
        raise Refused(f"{event_type} says nothing about sales or customers")
    data = require_mapping(envelope.get("data"), f"{at}data")
    inner = _EVENTS[event_type]
    field = f"{at}data.object.{inner}"
    document = require_mapping(
        require_mapping(data.get("object"), f"{at}data.object").get(inner), field
    )
    if not inner.startswith("order_"):
        return _object(inner, event_type, document, field)
    state = _text(document, "state", f"{field}.")
    if state != "COMPLETED":
        raise Refused(f"order is {state}")
    return SourceEvent(
        type=event_type,
        entity="order",
        entity_id=_text(document, "order_id", f"{field}."),
        version=_version(document),
        occurred_at=zoned_instant(document.get("updated_at")),
    )


def _object(kind: str, event_type: str, value: object, field: str) -> SourceEvent:
    document = require_mapping(value, field)
    snapshot: Mapping[str, Any] | None = document
    if kind == "order":
        # An order names its customer and its external payments, and knows nothing more of them.
        done = document.get("state") == "COMPLETED"
        snapshot = None if done and _points_elsewhere(document) else {"order": document}
    return SourceEvent(
        type=event_type,
        entity=kind,
        entity_id=_text(document, "id", f"{field}."),
        version=_version(document),
        occurred_at=zoned_instant(document.get("updated_at")),
        snapshot=snapshot,
    )


def _points_elsewhere(order: Mapping[str, Any]) -> bool:
    return bool(
        order.get("customer_id")
        or any(one.get("customer_id") or one.get("type") == "OTHER" for one in tenders_of(order))
    )


def tenders_of(order: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the tenders of an order that nobody has validated yet; what is none is left out."""
    tenders = order.get("tenders")
    return [one for one in (tenders if isinstance(tenders, list) else ()) if isinstance(one, dict)]


def _version(document: Mapping[str, Any]) -> int | None:
    """Orders and customers count their versions; payments and refunds have their last change."""
    counted = document.get("version")
    return (
        counted
        if isinstance(counted, int)
        else version_at(zoned_instant(document.get("updated_at")))
    )


def _text(document: Mapping[str, Any], key: str, at: str) -> str:
    found = document.get(key)
    if not isinstance(found, str) or not found:
        raise Malformed("text was expected", field=f"{at}{key}")
    return found
