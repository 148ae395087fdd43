"""The words of orders: what came of a request, and where an order stands."""

from enum import StrEnum


class OrderOutcome(StrEnum):
    """What came of a request. Everything but ORDERED is a decline, stored like a success."""

    ORDERED = "ordered"
    NOT_AVAILABLE = "not_available"
    TIER_REQUIRED = "tier_required"
    LIMIT_REACHED = "limit_reached"
    OUT_OF_STOCK = "out_of_stock"
    INSUFFICIENT_POINTS = "insufficient_points"
    ISSUER_STOPPED = "issuer_stopped"


class OrderState(StrEnum):
    """Where an order stands."""

    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"
    RETURNED = "returned"


OVER = (OrderState.CANCELLED, OrderState.LAPSED, OrderState.RETURNED)
"""Orders that do not count against a limit: what they took was given back."""
