"""What a voucher is worth on a bill, and whether the bill is one that it is for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from hub.benefits.vouchers.terms import VoucherKind, VoucherTerms


class Verdict(StrEnum):
    """What is said of a voucher in a request. Everything but TAKEN is a decline."""

    TAKEN = "taken"
    LEFT_OUT = "left_out"
    UNKNOWN = "unknown"
    NOT_YOURS = "not_yours"
    VOIDED = "voided"
    USED_UP = "used_up"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_BUSINESS = "wrong_business"
    WRONG_OUTLET = "wrong_outlet"
    WRONG_CATEGORY = "wrong_category"
    WRONG_TIME = "wrong_time"
    WRONG_CURRENCY = "wrong_currency"
    BELOW_MINIMUM = "below_minimum"
    NOTHING_TO_TAKE = "nothing_to_take"
    AMOUNT_TOO_HIGH = "amount_too_high"
    NOT_STACKABLE = "not_stackable"
    LIMIT_REACHED = "limit_reached"
    MEMBER_REQUIRED = "member_required"
    RESERVED_ELSEWHERE = "reserved_elsewhere"
    RESERVATION_UNKNOWN = "reservation_unknown"
    RESERVATION_CLOSED = "reservation_closed"
    REDEMPTION_UNKNOWN = "redemption_unknown"
    ALREADY_CANCELLED = "already_cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What is to be paid, tax included, in minor units of `currency`.

    `categories` says how much of `amount_minor` is of which category; `delivery_minor`, how much
    of it is for delivery.
    """

    amount_minor: int
    currency: str
    delivery_minor: int = 0
    outlet: str | None = None
    categories: Mapping[str, int] = field(default_factory=dict)


def eligible(terms: VoucherTerms, bill: Bill) -> int:
    """Return how much of the bill the voucher is for: its categories' part, if it has such."""
    if terms.kind is VoucherKind.DELIVERY:
        return bill.delivery_minor
    if not terms.categories:
        return bill.amount_minor
    return min(
        bill.amount_minor, sum(bill.categories.get(each, 0) for each in set(terms.categories))
    )


def worth(terms: VoucherTerms, amount_minor: int, *, left: int | None = None) -> int:
    """Return what the voucher takes off `amount_minor` that it is for; never more than that.

    `left` is the value left of a voucher that is counted by value. A percentage is rounded half up
    to the minor unit. Gifts and points take nothing off.
    """
    match terms.kind:
        case VoucherKind.CASH:
            value = (terms.amount_minor or 0) if not terms.by_value or left is None else left
        case VoucherKind.PERCENTAGE:
            exact = Decimal(amount_minor) * (terms.percent or Decimal(0)) / 100
            value = int(exact.to_integral_value(ROUND_HALF_UP))
            value = min(value, terms.cap_minor or value)
        case VoucherKind.THRESHOLD:
            times = amount_minor // (terms.threshold_minor or 1)
            value = (terms.amount_minor or 0) * (times if terms.repeats else min(times, 1))
        case VoucherKind.DELIVERY:
            value = terms.cap_minor or amount_minor
        case _:
            value = 0
    return min(value, amount_minor)


def refusal(
    terms: VoucherTerms, bill: Bill, *, business_id: int, time_zone: str, at: datetime
) -> Verdict | None:
    """Return why the voucher is not for this bill, shop and hour; None: it is.

    `time_zone` is the shop's. Whether it was used, ended or is somebody else's is another question.
    """
    local = at.astimezone(ZoneInfo(time_zone))
    amount = eligible(terms, bill)
    delivery = terms.kind is VoucherKind.DELIVERY
    spent = bill.amount_minor if delivery else amount
    asked = (
        (Verdict.WRONG_BUSINESS, business_id not in terms.businesses),
        (Verdict.WRONG_OUTLET, terms.outlets and bill.outlet not in terms.outlets),
        (Verdict.WRONG_CURRENCY, terms.currency != bill.currency),
        (Verdict.NOT_YET_VALID, at < terms.valid_from),
        (
            Verdict.WRONG_TIME,
            terms.times and not any(hours.covers(local) for hours in terms.times),
        ),
        (Verdict.WRONG_CATEGORY, terms.categories and not delivery and amount == 0),
        (Verdict.BELOW_MINIMUM, spent < max(terms.minimum_minor, terms.threshold_minor or 0)),
    )
    return next((verdict for verdict, wrong in asked if wrong), None)
