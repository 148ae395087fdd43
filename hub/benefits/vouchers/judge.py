"""Judge: what each voucher of a request would take off a bill, or why it takes nothing. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.benefits.vouchers.queries import Voucher
from hub.benefits.vouchers.terms import VoucherKind, VoucherTerms
from hub.benefits.vouchers.worth import Bill, Verdict, eligible, refusal, worth
from hub.programme.queries import Business


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherAsked:
    """A voucher of a request: by its code, or by its number where the member is known.

    `amount_minor` is what it is to take off the bill; None: what it is worth on what is left of
    the bill after those before it.
    """

    code: str | None = None
    voucher_id: int | None = None
    amount_minor: int | None = None


def judge(
    vouchers: Sequence[VoucherAsked],
    found: Sequence[Voucher | None],
    bill: Bill,
    *,
    business: Business,
    member_id: int | None,
    now: datetime,
) -> list[dict[str, Any]]:
    """Return what voucher_take asks for: each voucher with what it would take, or why not."""
    items: list[dict[str, Any]] = []
    open_minor = bill.amount_minor
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
        if no is None and ((terms.alone and several) or terms.stacking_group in groups):
            no = Verdict.NOT_STACKABLE
        room = min(eligible(terms, bill), open_minor)
        most = worth(terms, room, left=voucher.granted - voucher.used)
        amount = most if each.amount_minor is None else each.amount_minor
        if no is None and amount > most:
            no = Verdict.AMOUNT_TOO_HIGH
        if no is None and amount == 0 and (terms.by_value or (most == 0 and _takes_off(terms))):
            no = Verdict.NOTHING_TO_TAKE
        if no is None:
            open_minor -= amount
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


def _takes_off(terms: VoucherTerms) -> bool:
    return terms.kind not in (VoucherKind.GIFT, VoucherKind.POINTS)
