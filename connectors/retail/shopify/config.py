"""What a Shopify connection is configured with."""

from collections.abc import Mapping

from pydantic import Field

from hub.connector import DialectConfig, TenderKind

# Gateway handles as Shopify writes them into orders. Manual methods carry the merchant's own
# wording, and card processors their own handle: a shop names those in `gateway_kinds`.
KNOWN_GATEWAYS: Mapping[str, TenderKind] = {
    "shopify_payments": TenderKind.CARD,
    "bogus": TenderKind.CARD,
    "authorize_net": TenderKind.CARD,
    "cash": TenderKind.CASH,
    "gift_card": TenderKind.GIFTCARD,
    "shopify_store_credit": TenderKind.STORED_VALUE,
    "paypal": TenderKind.WALLET,
}


class ShopifyConfig(DialectConfig):
    """`base_url` is the shop's (https://{shop}.myshopify.com); `access_token` its Admin API token.

    `points_gateways` are the gateway names under which the group's own points pay.
    """

    api_version: str = "2025-10"
    points_gateways: frozenset[str] = frozenset({"group_points"})
    gateway_kinds: Mapping[str, TenderKind] = Field(default_factory=dict)

    def tender_kind(self, gateway: str) -> TenderKind:
        """Say what a gateway's money is; a name nobody told us of is `other`."""
        if gateway in self.points_gateways:
            return TenderKind.POINTS
        return self.gateway_kinds.get(gateway) or KNOWN_GATEWAYS.get(gateway, TenderKind.OTHER)
