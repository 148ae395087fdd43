# ruff: noqa: E501 (one row per sample reads best)
"""What becomes of each of the vendor's published Toast bodies; see test_shared_samples."""

from connectors.dining.toast import connector
from connectors.dining.toast.config import ToastConfig

CONNECTION = (connector, ToastConfig(), "USD")

_NO_ORDER = "refused: the order has no guid: it is a request or a price, and nobody ordered yet"

OUTCOMES: dict[str, str] = {
    "toast/loyalty_inquire_request.json": "refused: LOYALTY_INQUIRE says nothing about checks",
    "toast/loyalty_inquire_response.json": "refused: checkResponse says nothing about checks",
    "toast/loyalty_redeem_request.json": "refused: LOYALTY_REDEEM says nothing about checks",
    "toast/loyalty_redeem_response.json": "refused: checkResponse says nothing about checks",
    "toast/loyalty_reverse_request.json": "refused: LOYALTY_REVERSE says nothing about checks",
    "toast/loyalty_search_request.json": "refused: LOYALTY_SEARCH says nothing about checks",
    "toast/loyalty_search_response.json": "refused: searchResponse says nothing about checks",
    "toast/order_discounts_0.json": "refused: Discount says nothing about checks",
    "toast/order_discounts_1.json": "refused: discount says nothing about checks",
    "toast/order_get_paid_credit_0.json": "sale.completed 9f42438a-a375-4983-9f80-c0dae5c33196 106 USD",
    "toast/order_other_payment_1.json": "sale.completed c1784eaf-7ca8-461a-ba38-795ec51cf84a 955 USD",
    "toast/order_types_3.json": "refused: check is OPEN",
    "toast/order_types_7.json": "refused: check is OPEN",
    "toast/orders_webhook_order_updated_open_split_two_checks_0.json": "refused: check is OPEN; refused: check is OPEN",
    "toast/payment_0.json": "refused: OrderPayment says nothing about checks",
    "toast/pms_room_charge_0.json": "refused: transactionStatus says nothing about checks",
    "toast/pms_room_charge_1.json": "refused: discountsTransactionInformation says nothing about checks",
} | dict.fromkeys(
    [
        "toast/order_discounts_12.json",
        "toast/order_discounts_13.json",
        "toast/order_discounts_14.json",
        "toast/order_discounts_2.json",
        "toast/order_discounts_3.json",
        "toast/order_discounts_4.json",
        "toast/order_other_payment_0.json",
        "toast/order_types_1.json",
        "toast/order_types_2.json",
        "toast/order_types_4.json",
        "toast/order_types_6.json",
        "toast/prices_0.json",
        "toast/prices_1.json",
    ],
    _NO_ORDER,
)
