"""Shopify: a shop's orders, refunds and customers, from webhooks or pages of the Admin API."""

from connectors.retail.shopify.dialect import Shopify

connector = Shopify()
