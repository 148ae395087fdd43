"""From a Toast body to source events, one for each check: webhooks, orders, pages of orders."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub.connector import Refused, SourceEvent, require_mapping, version_at, zoned_instant
from hub.errors import Malformed

_EVENTS = ("order_updated", "channel_order_updated")
_HEAD = ("guid", "businessDate", "createdInTestMode", "excessFood", "voided", "deleted")
_PERSONAL = ("firstName", "lastName", "phone", "email")
_AT = "@"


def topic_of(restaurant: str) -> str:
    """Return the topic of a page of a restaurant's orders, which do not name it themselves."""
    return f"ordersBulk{_AT}{restaurant}"


def decode_body(body: Any, topic: str | None) -> Sequence[SourceEvent]:
    """Read a body; raises Malformed naming the field, Refused when nothing in it concerns us."""
    restaurant = topic.partition(_AT)[2] or None if topic else None
    if isinstance(body, list):
        return _page(body, restaurant)
    if not isinstance(body, dict):
        raise Malformed("a JSON object was expected", field="body")
    if "eventType" in body or "details" in body:
        return _webhook(body)
    return _order(body, restaurant, "api", "", pushed=False)


def order_snapshots(order: Mapping[str, Any], restaurant: str | None) -> dict[str, dict[str, Any]]:
    """Return an order's snapshots by the GUID of their check; what is no check is left out."""
    checks = order.get("checks")
    head = {key: order[key] for key in _HEAD if key in order}
    return {
        check["guid"]: {"restaurant": restaurant, "order": head, "check": check}
        for check in (checks if isinstance(checks, list) else ())
        if isinstance(check, dict) and isinstance(check.get("guid"), str)
    }


def _webhook(envelope: Mapping[str, Any]) -> Sequence[SourceEvent]:
    event_type = _text(envelope, "eventType", "")
    if event_type not in _EVENTS:
        raise Refused(f"{event_type} says nothing about checks")
    details = require_mapping(envelope.get("details"), "details")
    order = require_mapping(details.get("order"), "details.order")
    restaurant = _text(details, "restaurantGuid", "details.")
    return _order(order, restaurant, event_type, "details.order.", pushed=True)


def _page(page: list[Any], restaurant: str | None) -> list[SourceEvent]:
    found: list[SourceEvent] = []
    passed_over = []
    for i, one in enumerate(page):
        try:
            order = require_mapping(one, f"orders[{i}]")
            found += _order(order, restaurant, "ordersBulk", f"orders[{i}].", pushed=False)
        except Refused as reason:
            passed_over.append(reason.message)
    if not found:
        raise Refused("; ".join(dict.fromkeys(passed_over)) or "the page is empty")
    return found


def _order(
    order: Mapping[str, Any], restaurant: str | None, event_type: str, at: str, *, pushed: bool
) -> list[SourceEvent]:
    if "checks" not in order:
        raise Refused(f"{_name(order)} says nothing about checks")
    if not pushed and not order.get("guid"):
        raise Refused("the order has no guid: it is a request or a price, and nobody ordered yet")
    order_id = _text(order, "guid", at)
    checks = order["checks"]
    if not isinstance(checks, list):
        raise Malformed("a list was expected", field=f"{at}checks")
    if not checks:
        raise Refused("the order has no check")
    for i, one in enumerate(checks):
        _text(require_mapping(one, f"{at}checks[{i}]"), "guid", f"{at}checks[{i}].")
    return [
        SourceEvent(
            type=event_type,
            entity="check",
            entity_id=check_id,
            version=version_at(zoned_instant(snapshot["check"].get("modifiedDate"))),
            occurred_at=zoned_instant(snapshot["check"].get("modifiedDate")),
            snapshot=None if pushed and _is_stripped(snapshot["check"]) else snapshot,
            address=f"{restaurant}/{order_id}" if restaurant else None,
        )
        for check_id, snapshot in order_snapshots(order, restaurant).items()
    ]


def _is_stripped(check: Mapping[str, Any]) -> bool:
    """Whether a sale in a webhook has a guest of whom nothing is said, and no loyalty account."""
    guest = check.get("customer")
    info = check.get("appliedLoyaltyInfo")
    return (
        check.get("paymentStatus") == "CLOSED"
        and not check.get("voided")
        and not check.get("deleted")
        and isinstance(guest, dict)
        and not any(guest.get(key) for key in _PERSONAL)
        and not (isinstance(info, dict) and info.get("loyaltyIdentifier"))
    )


def _name(document: Mapping[str, Any]) -> str:
    for key in ("toastTransactionType", "entityType"):
        if isinstance(document.get(key), str):
            return str(document[key])[:40]
    return str(next(iter(document), "an empty object"))[:40]


def _text(document: Mapping[str, Any], key: str, at: str) -> str:
    found = document.get(key)
    if not isinstance(found, str) or not found.isascii() or not found.isprintable() or not found:
        raise Malformed("plain text was expected", field=f"{at}{key}")
    return found
