"""Toast's loyalty protocol, the asking half. Facts: doc.toasttab.com, "Loyalty integration API".

The hub is the server: every transaction is a POST with its type in header and body, and with a
static key in `Authorization`. Offers are for the whole check; their amounts are per use.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, StrictInt, ValidationInfo, field_validator

from connectors.dining.toast.config import Loyalty, Offer, ToastConfig
from connectors.dining.toast.money import minor
from connectors.dining.toast.payload import Amount, Camel
from hub.connector import (
    Accrue,
    Call,
    Connection,
    Enquire,
    Hint,
    HintType,
    Inbound,
    Quote,
    Reverse,
    SignatureInvalid,
    Spend,
    parse_object,
    read_as,
    require_match,
)
from hub.errors import Malformed
from hub.units import exponent

P = TypeVar("P")

TYPE, RESTAURANT, TRANSACTION = (
    "toastTransactionType",
    "Toast-Restaurant-External-ID",
    "Toast-Transaction-GUID",
)
_LONGEST = 150
_MOST_USES = 1000


def _uses(value: Any) -> Any:
    """Quantities are doubles: 2.0 is two. What is no whole number is left to be refused."""
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value) if abs(value) <= _MOST_USES else value
    return 1 if value is None else value


Text = Annotated[str, Field(min_length=1, max_length=_LONGEST)]


class Redemption(Camel):
    """An offer on a check, so many times. One for single items names what it is applied to."""

    identifier: Text
    quantity: Annotated[StrictInt, BeforeValidator(_uses), Field(ge=1, le=_MOST_USES)] = 1
    amount: Amount = Decimal(0)
    selection_guid: str | None = None
    item_application: tuple[object, ...] | None = None


class Criteria(Camel):
    """Whom a search is for. Names are of no use: the hub finds nobody by name."""

    phone: str | None = Field(default=None, max_length=_LONGEST)
    email: str | None = Field(default=None, max_length=_LONGEST)


class Search(Camel):
    """LOYALTY_SEARCH."""

    search_criteria: Criteria


class CalledCheck(Camel):
    """The check that a call is about, as far as the hub needs it."""

    guid: Text
    amount: Amount = Decimal(0)


class OnCheck(Camel):
    """LOYALTY_INQUIRE, LOYALTY_REDEEM, LOYALTY_ACCRUE."""

    loyalty_identifier: Text | None = None
    check: CalledCheck
    redemptions: tuple[Redemption, ...] = ()

    @field_validator("redemptions", mode="before")
    @classmethod
    def _none_is_no_redemption(cls, value: Any, _info: ValidationInfo) -> Any:
        return () if value is None else value


class ToReverse(Camel):
    """LOYALTY_REVERSE: all redemptions of a transaction, or those that are named."""

    transaction_id: Text
    redemptions: tuple[Redemption, ...] | None = None


class Transaction(Camel):
    """What Toast posts; one of the three is there, by the type."""

    toast_transaction_type: str
    search_transaction_information: Search | None = None
    check_transaction_information: OnCheck | None = None
    reverse_transaction_information: ToReverse | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is on a check already: its price before points, and the offers used, with what is wrong.

    `refusals` has None for each redemption that is an offer of ours as it stands.
    """

    bill_minor: int
    points: int
    worth_minor: int
    refusals: tuple[str | None, ...]

    @property
    def is_sound(self) -> bool:
        """Whether all redemptions are offers of ours as they stand."""
        return not any(self.refusals)


def read_transaction(inbound: Inbound, connection: Connection) -> Transaction:
    """Prove a call authentic and read it; raises SignatureInvalid and Malformed."""
    loyalty = _loyalty(connection)
    if loyalty is None:
        raise SignatureInvalid("this connection is no restaurant's loyalty provider")
    keys = [key.get_secret_value() for key in loyalty.api_keys]
    require_match(inbound.headers.get("authorization"), keys, what="Authorization")
    transaction = read_as(Transaction, parse_object(inbound.body))
    stated = inbound.headers.get("toast-transaction-type", transaction.toast_transaction_type)
    if stated != transaction.toast_transaction_type:
        raise Malformed("header and body name two types", field=TYPE)
    restaurants = connection.config.restaurants
    if restaurants and inbound.headers.get(RESTAURANT.lower()) not in restaurants:
        raise Malformed("this connection speaks for other restaurants", field=RESTAURANT)
    return transaction


def read_call(inbound: Inbound, connection: Connection) -> Call:
    """Say what a transaction asks for; see Serving.read_call."""
    asked = read_transaction(inbound, connection)
    match asked.toast_transaction_type:
        case "LOYALTY_SEARCH":
            search = _there(asked.search_transaction_information, "searchTransactionInformation")
            return _enquire(search.search_criteria)
        case "LOYALTY_INQUIRE" | "LOYALTY_REDEEM" | "LOYALTY_ACCRUE" as kind:
            on = _there(asked.check_transaction_information, "checkTransactionInformation")
            if kind == "LOYALTY_ACCRUE":
                return Accrue(key=on.check.guid, loyalty_id=on.loyalty_identifier)
            return _on_check(kind, on, inbound, connection)
        case "LOYALTY_REVERSE":
            back = _there(asked.reverse_transaction_information, "reverseTransactionInformation")
            return Reverse(
                key=_guid(inbound),
                spent_key=back.transaction_id,
                points=_points_back(back, connection.config),
                may_be_earn=not back.redemptions,
            )
    raise Malformed(f"{asked.toast_transaction_type[:40]} is not served", field=TYPE)


def asked_of(on: OnCheck, connection: Connection) -> Asked:
    """Judge what is on a check, by the offers as they are configured."""
    offers = connection.config.loyalty.offers
    currency = connection.currency
    amount = minor(on.check.amount, currency, "checkTransactionInformation.check.amount")
    points = worth = discounted = 0
    refusals = []
    for i, one in enumerate(on.redemptions):
        field = f"checkTransactionInformation.redemptions[{i}].amount"
        taken = minor(one.amount, currency, field) * one.quantity
        offer = offers.get(one.identifier)
        refusal = _wrong(one, offer, taken, currency)
        discounted += max(taken, 0)
        refusals.append(refusal)
        if offer is not None and refusal is None:
            points += offer.points * one.quantity
            worth += worth_of(offer, currency) * one.quantity
    return Asked(
        bill_minor=max(amount, 0) + discounted,
        points=points,
        worth_minor=worth,
        refusals=tuple(refusals),
    )


def worth_of(offer: Offer, currency: str) -> int:
    """Return what an offer takes off a check, in minor units; parts of one are dropped."""
    return int(offer.amount.scaleb(exponent(currency)))


def _enquire(criteria: Criteria) -> Enquire:
    said = ((HintType.PHONE, criteria.phone), (HintType.EMAIL, criteria.email))
    return Enquire(
        hints=tuple(Hint(type=kind, value=value.strip()) for kind, value in said if value)
    )


def _on_check(kind: str, on: OnCheck, inbound: Inbound, connection: Connection) -> Call:
    """What is wrong with one redemption of a REDEEM is wrong with all: then nothing is spent."""
    if on.loyalty_identifier is None:
        raise Malformed("whose points?", field="checkTransactionInformation.loyaltyIdentifier")
    asked = asked_of(on, connection)
    if kind == "LOYALTY_REDEEM" and asked.points and asked.is_sound:
        return Spend(
            key=_guid(inbound),
            loyalty_id=on.loyalty_identifier,
            points=asked.points,
            bill_minor=asked.bill_minor,
        )
    offers = connection.config.loyalty.offers.values() if kind == "LOYALTY_INQUIRE" else ()
    return Quote(
        loyalty_id=on.loyalty_identifier,
        bill_minor=asked.bill_minor,
        asks=(asked.points, *(asked.points + offer.points for offer in offers)),
    )


def _wrong(one: Redemption, offer: Offer | None, taken: int, currency: str) -> str | None:
    if offer is None:
        return "this is no offer here"
    if one.selection_guid or one.item_application:
        return "offers are for the whole check"
    if taken != worth_of(offer, currency) * one.quantity:
        return "this offer has changed: take it off and apply it again"
    return None


def _points_back(back: ToReverse, config: ToastConfig) -> int | None:
    """Return what is to be given back; None, all of it, where no redemptions are named."""
    if not back.redemptions or config.loyalty is None:
        return None
    points = 0
    for i, one in enumerate(back.redemptions):
        offer = config.loyalty.offers.get(one.identifier)
        if offer is None:
            field = f"reverseTransactionInformation.redemptions[{i}].identifier"
            raise Malformed("this is no offer here: what did it cost?", field=field)
        points += offer.points * one.quantity
    return points


def _guid(inbound: Inbound) -> str:
    found = inbound.headers.get(TRANSACTION.lower(), "")
    if not 1 <= len(found) <= _LONGEST or not found.isprintable():
        raise Malformed("the transaction needs its id", field=TRANSACTION)
    return found


def _there(part: P | None, field: str) -> P:
    if part is None:
        raise Malformed("a JSON object was expected", field=field)
    return part


def _loyalty(connection: Connection) -> Loyalty | None:
    found: Loyalty | None = connection.config.loyalty
    return found
