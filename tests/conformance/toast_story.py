"""What Toast says of one table: two checks, one of them refunded, one with an item voided late."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from connectors.conformance import Body

REST, ORDER, CHECK, SECOND = "rest-1", "order-1", "check-1", "check-2"
AT = "2026-03-05T18:{}:00.000+0000"
NEVER = "1970-01-01T00:00:00.000+0000"
GUEST = {
    "guid": "guest-1",
    "entityType": "Customer",
    "firstName": "Jingyi",
    "lastName": "Li",
    "phone": "138-0013-8000",
    "phoneCountryCode": "86",
    "email": "jingyi@example.com",
}
STRIPPED = {"guid": "guest-1", "entityType": "Customer"}
NOODLES = {
    "guid": "noodles",
    "entityType": "MenuItemSelection",
    "quantity": 2.0,
    "preDiscountPrice": 90.0,
    "price": 80.0,
    "tax": 4.8,
    "taxInclusion": "NOT_INCLUDED",
    "selectionType": "NONE",
    "deferred": False,
    "voided": False,
    "voidDate": None,
    "salesCategory": {"guid": "food", "entityType": "SalesCategory"},
    "appliedTaxes": [{"name": "VAT", "rate": 0.06, "taxAmount": 4.8, "type": "PERCENT"}],
    "refundDetails": None,
}
SERVICE = {"guid": "svc", "name": "Service", "chargeAmount": 8, "gratuity": False}
CARD = {
    "guid": "pay-1",
    "entityType": "OrderPayment",
    "type": "CREDIT",
    "amount": 72.8,
    "tipAmount": 5.0,
    "paidDate": AT.format(30),
    "paymentStatus": "CAPTURED",
    "voidInfo": None,
    "refundStatus": "NONE",
    "refund": None,
    "last4Digits": "1111",
}
POINTS = {
    **CARD,
    "guid": "pay-2",
    "type": "OTHER",
    "amount": 20,
    "tipAmount": 0,
    "otherPayment": {"guid": "points-type", "entityType": "AlternatePaymentType"},
}


def selection(guid: str, price: float, **changes: Any) -> dict[str, Any]:
    plain = {**NOODLES, "guid": guid, "quantity": 1, "preDiscountPrice": price, "price": price}
    return {**plain, "tax": 0, "appliedTaxes": [], **changes}


def check(**changes: Any) -> dict[str, Any]:
    """80.00 of food after 10.00 off, 8.00 service, 4.80 tax on top: 92.80; a tip of 5.00."""
    return {
        "guid": CHECK,
        "entityType": "Check",
        "paymentStatus": "CLOSED",
        "voided": False,
        "deleted": False,
        "deletedDate": NEVER,
        "voidDate": None,
        "openedDate": AT.format("05"),
        "paidDate": AT.format(30),
        "closedDate": AT.format(31),
        "modifiedDate": AT.format(31),
        "amount": 88.0,
        "taxAmount": 4.8,
        "totalAmount": 92.8,
        "selections": [NOODLES],
        "appliedServiceCharges": [SERVICE],
        "appliedDiscounts": [],
        "payments": [CARD, POINTS],
        "customer": GUEST,
        "appliedLoyaltyInfo": None,
        **changes,
    }


def second(**changes: Any) -> dict[str, Any]:
    """What the table split off: a beer and a cake, paid in cash, of nobody."""
    return (
        check(
            guid=SECOND,
            amount=50,
            taxAmount=0,
            totalAmount=50,
            selections=[selection("beer", 30), selection("cake", 20)],
            appliedServiceCharges=[],
            payments=[{**CARD, "guid": "pay-3", "type": "CASH", "amount": 50, "tipAmount": 0}],
            customer=None,
        )
        | changes
    )


LATE = second(
    amount=30,
    totalAmount=30,
    selections=[
        selection("beer", 30),
        selection("cake", 20, voided=True, voidDate=AT.format(45), voidBusinessDate=20260305),
    ],
)
REFUNDED = check(
    payments=[
        {
            **CARD,
            "refundStatus": "PARTIAL",
            "refund": {
                "refundAmount": 42.4,
                "tipRefundAmount": 1,
                "refundDate": "2026-03-06T03:00:00.000+0000",
                "refundBusinessDate": 20260305,
                "refundTransaction": {"guid": "refund-1", "entityType": "RefundTransaction"},
            },
        },
        POINTS,
    ],
    selections=[
        {
            **NOODLES,
            "refundDetails": {
                "refundAmount": 40,
                "taxRefundAmount": 2.4,
                "refundTransaction": {"guid": "refund-1"},
            },
        }
    ],
)
OPEN = {"paymentStatus": "OPEN", "payments": [], "paidDate": None, "closedDate": None}


def order(*checks: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "guid": ORDER,
        "entityType": "Order",
        "businessDate": 20260305,
        "createdInTestMode": False,
        "excessFood": False,
        "voided": False,
        "deleted": False,
        "deletedDate": NEVER,
        "modifiedDate": AT.format(31),
        "checks": list(checks),
        **changes,
    }


def body(document: object, topic: str | None = None) -> Body:
    return Body(json.dumps(document, ensure_ascii=False).encode(), topic)


def webhook(document: object, **changes: Any) -> Body:
    envelope = {
        "timestamp": "2026-03-05T18:31:01.050Z",
        "eventCategory": "order_updated",
        "eventType": "order_updated",
        "guid": "event-1",
        "details": {"restaurantGuid": REST, "order": document},
        **changes,
    }
    return body(envelope, "order_updated")


def bill(**changes: Any) -> Body:
    return webhook(order(check(**changes)))


FINAL = order(REFUNDED, LATE)


class Windows(dict[Any, Any]):
    """Toast's API: orders by the time of their change, everything else by its path."""

    def get(self, key: Any, default: Any = None) -> Any:
        method, path = key
        if not path.startswith("/orders/v2/ordersBulk?"):
            return super().get((method, path), default)
        asked = parse_qs(urlsplit(path).query)
        start, end = (datetime.fromisoformat(asked[name][0]) for name in ("startDate", "endDate"))
        found = [FINAL] if start <= datetime.fromisoformat(FINAL["modifiedDate"]) < end else []
        return json.dumps(found).encode()
