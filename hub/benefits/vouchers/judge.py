"""Judge: what each voucher of a request would take off a bill, or why it takes nothing. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from hub.benefits.vouchers.queries import Voucher
from hub.benefits.vouchers.terms import VoucherKind, VoucherTerms
from hub.benefits.vouchers.worth import Bill, Verdict, eligible, refusal, worth
from hub.programme.queries import Business
from hub.units import share_by_largest_remainder

NONE_GONE: Mapping[int, Verdict] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherAsked:
    """A voucher of a request: by its code, or by its number where the member is known.

    `amount_minor` is what it is to take off the bill; None: what it is worth on what is left of
    the bill after those before it. `weighed`: a quote has found that amount line by line, and what
    is left of categories does not judge it once more.
    """

    code: str | None = None
    voucher_id: int | None = None
    amount_minor: int | None = None
    weighed: bool = False


class _Left:
    """What of a bill, of its categories and its delivery the vouchers before have left."""

    def __init__(self, bill: Bill) -> None:
        self._bill = bill
        self._minor = bill.amount_minor
        self._delivery_minor = bill.delivery_minor
        self._categories = dict(bill.categories)

    def room(self, terms: VoucherTerms) -> int:
        """Return how much of what the voucher is for is left."""
        if terms.kind is VoucherKind.DELIVERY:
            return min(self._minor, self._delivery_minor)
        room = min(self._minor, eligible(terms, self._bill))
        if terms.categories:
            room = min(room, sum(self._categories.get(each, 0) for each in set(terms.categories)))
        return room

    def take(self, terms: VoucherTerms, amount_minor: int) -> None:
        """Take a voucher's amount off what it is for: off categories, in proportion."""
        self._minor -= amount_minor
        if terms.kind is VoucherKind.DELIVERY:
            self._delivery_minor -= amount_minor
        of = sorted(set(terms.categories) & self._categories.keys())
        left = [self._categories[each] for each in of]
        if sum(left):
            parts = share_by_largest_remainder(min(amount_minor, sum(left)), left)
            for each, part in zip(of, parts, strict=True):
                self._categories[each] -= part


def judge(
    vouchers: Sequence[VoucherAsked],
    found: Sequence[Voucher | None],
    bill: Bill,
    *,
    business: Business,
    member_id: int | None,
    now: datetime,
    gone: Mapping[int, Verdict] = NONE_GONE,
) -> list[dict[str, Any]]:
    """Return what voucher_take asks for: each voucher with what it would take, or why not.

    `gone` says why those cannot be used of which nothing can: they take nothing from the others.
    """
    items: list[dict[str, Any]] = []
    left = _Left(bill)
    groups: set[str] = set()
    several = len(vouchers) > 1
    for each, voucher in zip(vouchers, found, strict=True):
        if voucher is None:
            items.append({"id": None, "refusal": Verdict.UNKNOWN})
            continue
        terms = voucher.terms
        no = refusal(terms, bill, business_id=business.business_id,
                     time_zone=business.time_zone, at=now)  # fmt: skip
        if each.code is None and (member_id is None or voucher.member_id is None):
            no = Verdict.NOT_YOURS  # a number is no proof of anything
        if no is None and terms.points and member_id is None and voucher.member_id is None:
            no = Verdict.MEMBER_REQUIRED
        no = no or gone.get(voucher.voucher_id)
        if no is None and ((terms.alone and several) or terms.stacking_group in groups):
            no = Verdict.NOT_STACKABLE
        amount, refused = _amount(each, voucher, left.room(terms))
        no = no or refused
        if no is None:
            left.take(terms, amount)
            if terms.stacking_group is not None:
                groups.add(terms.stacking_group)
        items.append(
            {
                "id": voucher.voucher_id,
                "refusal": no,
                "quantity": amount if terms.by_value else 1,
                "exact": not terms.by_value or each.amount_minor is not None,
                "amount": amount,
                "price": amount if terms.price_minor is None else terms.price_minor,
            }
        )
    return items


def _amount(each: VoucherAsked, voucher: Voucher, room: int) -> tuple[int, Verdict | None]:
    """Return what a voucher is to take off a bill of which `room` is left, or why it cannot."""
    terms = voucher.terms
    most = worth(terms, room, left=voucher.granted - voucher.used)
    amount = most if each.amount_minor is None else each.amount_minor
    if amount > most and not each.weighed:
        return amount, Verdict.AMOUNT_TOO_HIGH
    if amount == 0 and terms.kind not in (VoucherKind.GIFT, VoucherKind.POINTS):
        return amount, Verdict.NOTHING_TO_TAKE
    return amount, None
