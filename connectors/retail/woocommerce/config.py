"""What a WooCommerce connection is configured with."""

from collections.abc import Mapping

from pydantic import Field, SecretStr

from hub.connector import DialectConfig, LineKind, TenderKind

# Slugs of WooCommerce's own gateways and of the plugins most shops pay through. Any plugin brings
# its own: a shop names those in `method_kinds`. A bank transfer and a cheque are `other`.
KNOWN_METHODS: Mapping[str, TenderKind] = {
    "cod": TenderKind.CASH,
    "stripe": TenderKind.CARD,
    "woocommerce_payments": TenderKind.CARD,
    "square_credit_card": TenderKind.CARD,
    "ppcp-credit-card-gateway": TenderKind.CARD,
    "ppcp-gateway": TenderKind.WALLET,
    "paypal": TenderKind.WALLET,
    "stripe_alipay": TenderKind.WALLET,
    "stripe_wechat_pay": TenderKind.WALLET,
}


class WooCommerceConfig(DialectConfig):
    """`base_url` is the site's address; the key pair one with read permission of its REST API.

    `points_methods` are payment methods, and `points_fees` names of negative fees, under which the
    group's own points pay; such a fee's meta data names the redemption under `redemption_key`.
    `product_kinds` and `fee_kinds` say what products (by id) and fees (by name) are, where they are
    no goods and no plain fee. `paid_statuses` are the statuses of an order that stands.
    """

    consumer_key: SecretStr | None = None
    consumer_secret: SecretStr | None = None
    api_path: str = "/wp-json/wc/v3"
    paid_statuses: frozenset[str] = frozenset({"processing", "completed", "refunded"})
    points_methods: frozenset[str] = frozenset({"group_points"})
    points_fees: frozenset[str] = frozenset({"Group points"})
    redemption_key: str = "redemption"
    method_kinds: Mapping[str, TenderKind] = Field(default_factory=dict)
    product_kinds: Mapping[str, LineKind] = Field(default_factory=dict)
    fee_kinds: Mapping[str, LineKind] = Field(default_factory=dict)

    def tender_kind(self, method: str) -> TenderKind:
        """Say what a payment method's money is; a slug nobody told us of is `other`."""
        if method in self.points_methods:
            return TenderKind.POINTS
        return self.method_kinds.get(method) or KNOWN_METHODS.get(method, TenderKind.OTHER)
