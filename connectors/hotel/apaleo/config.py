"""What an Apaleo connection is configured with, and what Apaleo's words mean to a bill."""

from collections.abc import Mapping

from pydantic import SecretStr

from hub.connector import DialectConfig, LineKind, TenderKind

# What a charge is, by its type; a charge typed by hand (`Direct`) is told by its service type.
LINE_KINDS: Mapping[str, LineKind] = {
    "TimeSlice": LineKind.ROOM,
    "IncludedService": LineKind.PACKAGE,
    "ExtraService": LineKind.ITEM,
    "CityTax": LineKind.CITY_TAX,
    "SecondCityTax": LineKind.CITY_TAX,
    "NoShowFee": LineKind.NO_SHOW_FEE,
    "CancellationFee": LineKind.CANCELLATION_FEE,
    "ServiceFee": LineKind.SERVICE_CHARGE,
    "Tax": LineKind.TAX,
}
SERVICE_KINDS: Mapping[str, LineKind] = {
    "Accommodation": LineKind.ROOM,
    "CityTax": LineKind.CITY_TAX,
    "SecondCityTax": LineKind.CITY_TAX,
    "NoShow": LineKind.NO_SHOW_FEE,
    "CancellationFees": LineKind.CANCELLATION_FEE,
}
_CARDS = """CreditCard Amex VisaCredit VisaDebit MasterCard MasterCardDebit Maestro GiroCard
 DiscoverCard Diners Jcb VPay Postcard Reka Lunchcheck ChinaUnionPay PspDebit"""
METHODS: Mapping[str, TenderKind] = {
    **dict.fromkeys(_CARDS.split(), TenderKind.CARD),
    **dict.fromkeys(("Cash", "PspCash"), TenderKind.CASH),
    **dict.fromkeys(("PayPal", "Twint", "IDeal", "PspWallet"), TenderKind.WALLET),
    **dict.fromkeys(("Invoice", "PspOpenInvoice"), TenderKind.CITY_LEDGER),
    "Voucher": TenderKind.VOUCHER,
    "Representation": TenderKind.COMP,
}
# Only here does the guest type an address in; elsewhere the channel may have made it up.
DIRECT_CHANNELS = frozenset({"Direct", "Ibe"})


class ApaleoConfig(DialectConfig):
    """`base_url` is the API's address; `client_id` and `client_secret` obtain a token from
    `token_url` (OAuth client credentials). The webhook's own secret is the value of
    `token_parameter` in its URL, the last part of the URL's path, or the password of basic auth.

    `points_prefix` is what the desk writes before the redemption into the receipt of a payment of
    method `Other` or `Voucher`, for Apaleo has no method of payment that is points.
    """

    client_id: str = ""
    client_secret: SecretStr | None = None
    token_url: str = "https://identity.apaleo.com/connect/token"  # noqa: S105  (an address)
    token_parameter: str = "token"  # noqa: S105  (the parameter's name)
    points_prefix: str = "POINTS:"
