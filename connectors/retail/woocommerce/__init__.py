"""WooCommerce: a shop's orders, refunds and customers, from webhooks or pages of its REST API."""

from connectors.retail.woocommerce.dialect import WooCommerce

connector = WooCommerce()
