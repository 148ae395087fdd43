"""What a Toast connection is configured with."""

from collections.abc import Mapping
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from connectors.dining.toast.payload import Payment
from hub.connector import DialectConfig, TenderKind

# Payment types as Toast lists them; what is not listed here says nothing.
_TYPES: Mapping[str, TenderKind] = {
    "CASH": TenderKind.CASH,
    "CREDIT": TenderKind.CARD,
    "GIFTCARD": TenderKind.GIFTCARD,
    "TOAST_SV": TenderKind.GIFTCARD,
    "HOUSE_ACCOUNT": TenderKind.HOUSE_ACCOUNT,
    "REWARDCARD": TenderKind.VOUCHER,
    "LEVELUP": TenderKind.WALLET,
}


class Offer(BaseModel):
    """What a member may have off a check: `amount`, in the restaurant's currency, for `points`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=255)
    points: int = Field(gt=0)
    amount: Decimal = Field(gt=0, max_digits=12, decimal_places=4)


class Loyalty(BaseModel):
    """The hub as the restaurant's loyalty provider.

    `api_keys` are what Toast sends in `Authorization`: the current one first, then the previous
    one. `offers` are what points buy, by the identifier under which Toast knows them.
    """

    model_config = ConfigDict(extra="forbid")

    api_keys: tuple[SecretStr, ...] = Field(min_length=1, max_length=2)
    offers: Mapping[str, Offer] = Field(default_factory=dict)


class ToastConfig(DialectConfig):
    """`base_url` is the API host that Toast names; `client_id` and `client_secret` log in to it.

    `restaurants` are the GUIDs of the locations that this connection speaks for. Payments of type
    OTHER name their kind by the GUID of an alternative payment type: `other_payments` says which
    are the group's points, a hotel bill or a voucher. With `loyalty` the hub is the loyalty
    provider, and the loyalty numbers on checks are its own or its members' cards.
    """

    client_id: str | None = None
    client_secret: SecretStr | None = None
    restaurants: tuple[str, ...] = ()
    other_payments: Mapping[str, TenderKind] = Field(default_factory=dict)
    loyalty: Loyalty | None = None

    def tender_kind(self, payment: Payment) -> TenderKind:
        """Say what a payment's money is."""
        if payment.type == "OTHER" and payment.other_payment and payment.other_payment.guid:
            return self.other_payments.get(payment.other_payment.guid, TenderKind.OTHER)
        return _TYPES.get(payment.type, TenderKind.OTHER)
