"""What a Mews connection is configured with."""

from collections.abc import Mapping

from pydantic import SecretStr

from hub.connector import DialectConfig, LineKind, TenderKind

# Order item types, as the Connector API lists them. Rebates are told apart before this is asked.
LINE_KINDS: Mapping[str, LineKind] = {
    "SpaceOrder": LineKind.ROOM,
    "ProductOrder": LineKind.ITEM,
    "CustomItem": LineKind.ITEM,
    "CityTax": LineKind.CITY_TAX,
    "ServiceCharge": LineKind.SERVICE_CHARGE,
    "Surcharge": LineKind.FEE,
    "ResourceUpgradeFee": LineKind.FEE,
    "InvoiceFee": LineKind.FEE,
    "MulticurrencyFee": LineKind.FEE,
    "CancellationFee": LineKind.CANCELLATION_FEE,
    "Deposit": LineKind.DEPOSIT,
    "ExchangeRateDifference": LineKind.ROUNDING,
    "TaxCorrection": LineKind.TAX,
}
# The hotel's own bookkeeping; no guest is charged by it.
INTERNAL_TYPES = frozenset({"AllowanceBreakage", "AllowanceContraBreakage"})
# Negative items of these types settle or correct what is no revenue: nothing is given back.
CORRECTING_TYPES = frozenset(
    {"Deposit", "ExchangeRateDifference", "TaxCorrection", "CityTaxDiscount"}
)
_PAYMENTS: Mapping[str, TenderKind] = {
    "CreditCardPayment": TenderKind.CARD,
    "CashPayment": TenderKind.CASH,
    "AlternativePayment": TenderKind.WALLET,
    "InvoicePayment": TenderKind.CITY_LEDGER,
}
_EXTERNAL: Mapping[str, TenderKind] = {
    "LoyaltyPoints": TenderKind.POINTS,
    "GiftCard": TenderKind.GIFTCARD,
    "Voucher": TenderKind.VOUCHER,
    "Cash": TenderKind.CASH,
    "CreditCard": TenderKind.CARD,
    "PayPal": TenderKind.WALLET,
    "Complimentary": TenderKind.COMP,
    "Invoice": TenderKind.CITY_LEDGER,
}


class MewsConfig(DialectConfig):
    """`base_url` is the platform's address, `client_token` and `access_token` open its API.

    `client` is the name and version that Mews wants with every call. The webhook's own secret is
    the value of `token_parameter` in its URL, or the last part of the URL's path.
    """

    client_token: SecretStr | None = None
    client: str = "Group Membership Hub 0.1.0"
    token_parameter: str = "token"  # noqa: S105  (the parameter's name)


def payment_kind(payment_type: str, external_type: str | None) -> TenderKind:
    """Say what a payment is; loyalty points are an external type of Mews's own."""
    if payment_type == "ExternalPayment":
        return _EXTERNAL.get(external_type or "", TenderKind.OTHER)
    return _PAYMENTS.get(payment_type, TenderKind.OTHER)
