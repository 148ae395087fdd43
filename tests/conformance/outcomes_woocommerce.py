"""What becomes of WooCommerce's own samples."""

OUTCOMES = {
    "woocommerce/v3_customers_0.json": "profile.changed 25@1490123370000",
    "woocommerce/v3_orders_0.json": "sale.completed 727 2935 USD",
}
