"""What a till asks for vouchers, and what it is answered."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from graphql_schema.fields import count
from graphql_schema.finding import MemberKey, whole_number
from graphql_schema.rejections import (
    Forbidden,
    IdempotencyConflict,
    InvalidInput,
    MemberUnknown,
    Rejection,
)
from graphql_schema.scalars import Long
from graphql_schema.till import Till
from hub.benefits.vouchers.answers import Part, VoucherAnswer
from hub.benefits.vouchers.judge import VoucherAsked
from hub.benefits.vouchers.take import Policy
from hub.benefits.vouchers.worth import Bill, Verdict

strawberry.enum(
    Verdict, name="VoucherVerdict", description="What is said of a voucher; all but taken decline."
)


@strawberry.enum(description="What becomes of the others when a voucher cannot be used.")
class VoucherPolicy(Enum):
    """How vouchers of a request stand together."""

    ALL_OR_NOTHING = strawberry.enum_value("all_or_nothing", description="None is used.")
    SKIP_INVALID = strawberry.enum_value("skip_invalid", description="The others are used.")


@strawberry.input(description="A voucher of a request: by its code, or by its number.")
class VoucherInput:
    """A voucher."""

    code: str | None = strawberry.field(default=None, description="Its code, typed or scanned.")
    number: strawberry.ID | None = strawberry.field(
        default=None, description="Its number, where the member who has it is served."
    )
    amount_minor: int | None = strawberry.field(
        default=None,
        graphql_type=Long | None,
        description="What it is to take off, in minor units; unsaid, what it is worth on what is "
        "left of the bill after those before it.",
    )


@strawberry.input(description="How much of a bill is of a category.")
class CategoryAmount:
    """A part of a bill."""

    category: str = strawberry.field(description="The category.")
    amount_minor: int = count("How much, tax included, in minor units.")


@strawberry.input(description="A bill that vouchers are used for.")
class BillInput:
    """What is to be paid."""

    amount_minor: int = count("What it comes to, tax included, in minor units.")
    currency: str | None = strawberry.field(
        default=None, description="ISO 4217; unsaid, the business's own."
    )
    delivery_minor: int = strawberry.field(
        default=0,
        graphql_type=Long,
        description="How much of it is for delivery, in minor units.",
    )
    outlet: str | None = strawberry.field(default=None, description="At which outlet it is paid.")
    categories: list[CategoryAmount] = strawberry.field(
        default_factory=list, description="How much of it is of which category."
    )


_KEY = "As for `redeem`; keys of vouchers and of points do not meet."
_BUSINESS = "The business that acts; unsaid, the caller's own."
_POLICY = "What becomes of the others when one cannot be used."


@strawberry.input(description="Vouchers to be kept for a bill that is about to be paid.")
class ReserveVouchersInput:
    """A reservation."""

    vouchers: list[VoucherInput] = strawberry.field(description="Which, in order, up to 20.")
    bill: BillInput = strawberry.field(description="What for.")
    ttl_seconds: int = strawberry.field(description="How long they are kept: 1 to 604800 seconds.")
    idempotency_key: str = strawberry.field(description=_KEY)
    member: MemberKey | None = strawberry.field(default=None, description="Who is served.")
    policy: VoucherPolicy = strawberry.field(
        default=VoucherPolicy.ALL_OR_NOTHING, description=_POLICY
    )
    business: str | None = strawberry.field(default=None, description=_BUSINESS)


@strawberry.input(description="Vouchers for a bill: named, or as they were reserved.")
class RedeemVouchersInput:
    """A redemption."""

    idempotency_key: str = strawberry.field(description=_KEY)
    vouchers: list[VoucherInput] = strawberry.field(
        default_factory=list,
        description="Which, in order, up to 20. Of a reservation: those, by number, of which less "
        "than was reserved is used.",
    )
    bill: BillInput | None = strawberry.field(
        default=None, description="What for; not of a reservation."
    )
    reservation: strawberry.ID | None = strawberry.field(
        default=None, description="The number of a reservation that is redeemed."
    )
    member: MemberKey | None = strawberry.field(
        default=None, description="Who is served; not of a reservation."
    )
    policy: VoucherPolicy = strawberry.field(
        default=VoucherPolicy.ALL_OR_NOTHING, description=_POLICY
    )
    business: str | None = strawberry.field(default=None, description=_BUSINESS)


@strawberry.input(description="A reservation of vouchers that is given up.")
class ReleaseVouchersInput:
    """A release."""

    reservation: strawberry.ID = strawberry.field(description="The reservation's number.")
    idempotency_key: str = strawberry.field(description=_KEY)
    business: str | None = strawberry.field(default=None, description=_BUSINESS)


@strawberry.input(description="The redemption of a voucher that is undone, all or in part.")
class CancelVoucherRedemptionInput:
    """A cancellation."""

    redemption: strawberry.ID = strawberry.field(
        description="The redemption's number, as `redeemVouchers` told it."
    )
    idempotency_key: str = strawberry.field(description=_KEY)
    amount_minor: int | None = strawberry.field(
        default=None,
        graphql_type=Long | None,
        description="How much of what it took off, in minor units; unsaid, all that is left.",
    )
    business: str | None = strawberry.field(default=None, description=_BUSINESS)


@strawberry.type(description="What became of one voucher of a request.")
class VoucherPart:
    """A voucher's part in an answer."""

    voucher: strawberry.ID | None = strawberry.field(
        description="Its number; null for a code that no voucher has."
    )
    verdict: Verdict = strawberry.field(description="Whether it was taken, or why not.")
    amount_minor: int = count("What it takes off the bill, in minor units; of a cancellation that "
                              "was too high, how much is left.")  # fmt: skip
    quantity: int = count("What was used of it, as `Voucher.left` is counted.")
    left: int = count("What of it is free after that.")
    redemption: strawberry.ID | None = strawberry.field(
        description="The number of its entry: of a redemption, to cancel it by."
    )

    @classmethod
    def of(cls, part: Part) -> "VoucherPart":
        """Show a part."""
        return cls(
            voucher=None if part.voucher_id is None else strawberry.ID(str(part.voucher_id)),
            verdict=part.verdict,
            amount_minor=part.amount_minor,
            quantity=part.quantity,
            left=part.left,
            redemption=None if part.entry_id is None else strawberry.ID(str(part.entry_id)),
        )


@strawberry.type(description="The request was done.")
class VouchersTaken:
    """What was reserved, redeemed, released or cancelled."""

    number: strawberry.ID = strawberry.field(
        description="Its number: of a reservation, to redeem or release it by."
    )
    amount_minor: int = count("What all of it takes off the bill, in minor units.")
    parts: list[VoucherPart] = strawberry.field(description="Voucher by voucher.")
    at: datetime = strawberry.field(description="When it was done first.")
    expires_at: datetime | None = strawberry.field(
        description="Until when they are reserved; null for all else."
    )


@strawberry.type(description="The vouchers cannot be used so.")
class VouchersRefused(Rejection):
    """A decline, stored under the idempotency key."""

    reason: Verdict = strawberry.field(description="Why: the first voucher's reason.")
    parts: list[VoucherPart] = strawberry.field(description="Voucher by voucher.")


VouchersResult = Annotated[
    VouchersTaken
    | VouchersRefused
    | MemberUnknown
    | IdempotencyConflict
    | InvalidInput
    | Forbidden,
    strawberry.union("VouchersResult", description="What came of a request for vouchers."),
]

_WORDS = {
    Verdict.UNKNOWN: "no voucher has this code",
    Verdict.NOT_YOURS: "the voucher is not this member's",
    Verdict.VOIDED: "the voucher was voided",
    Verdict.USED_UP: "the voucher is used up",
    Verdict.EXPIRED: "the voucher has ended",
    Verdict.NOT_YET_VALID: "the voucher is not valid yet",
    Verdict.WRONG_BUSINESS: "this business does not take the voucher",
    Verdict.WRONG_OUTLET: "this outlet does not take the voucher",
    Verdict.WRONG_CATEGORY: "nothing on the bill is what the voucher is for",
    Verdict.WRONG_TIME: "the voucher is not for this day or hour",
    Verdict.WRONG_CURRENCY: "the voucher is in another currency",
    Verdict.BELOW_MINIMUM: "the bill does not come to what the voucher asks for",
    Verdict.NOTHING_TO_TAKE: "nothing is left of the bill for the voucher",
    Verdict.AMOUNT_TOO_HIGH: "the voucher does not take off that much",
    Verdict.NOT_STACKABLE: "the voucher cannot be used beside the others",
    Verdict.LIMIT_REACHED: "the member has had all vouchers of this campaign",
    Verdict.MEMBER_REQUIRED: "the voucher is for members: say whom you serve",
    Verdict.RESERVED_ELSEWHERE: "the voucher is reserved",
    Verdict.RESERVATION_UNKNOWN: "this business has no such reservation",
    Verdict.RESERVATION_CLOSED: "nothing is left of the reservation, or its time is over",
    Verdict.REDEMPTION_UNKNOWN: "this business made no such redemption",
    Verdict.ALREADY_CANCELLED: "all of the redemption was cancelled before",
}


def told(answer: VoucherAnswer) -> VouchersTaken | VouchersRefused:
    """Show an answer."""
    parts = [VoucherPart.of(part) for part in answer.parts]
    if answer.outcome is not Verdict.TAKEN:
        message = _WORDS[answer.outcome]
        return VouchersRefused(message=message, reason=answer.outcome, parts=parts)
    return VouchersTaken(
        number=strawberry.ID(str(answer.request_id)),
        amount_minor=answer.amount_minor,
        parts=parts,
        at=answer.at,
        expires_at=answer.expires_at,
    )


def asked(vouchers: list[VoucherInput]) -> list[VoucherAsked]:
    """Read which vouchers are asked for; raises Malformed for what is no number."""
    return [
        VoucherAsked(
            code=each.code,
            voucher_id=None if each.number is None else whole_number(each.number, field="vouchers"),
            amount_minor=each.amount_minor,
        )
        for each in vouchers
    ]


def bill_of(till: Till, bill: BillInput) -> Bill:
    """Read a bill, by default in the business's currency."""
    categories: dict[str, int] = {}
    for part in bill.categories:
        categories[part.category] = categories.get(part.category, 0) + part.amount_minor
    return Bill(
        amount_minor=bill.amount_minor,
        currency=bill.currency or till.business.currency,
        delivery_minor=bill.delivery_minor,
        outlet=bill.outlet,
        categories=categories,
    )


def policy_of(policy: VoucherPolicy) -> Policy:
    """Read a policy."""
    return "skip_invalid" if policy is VoucherPolicy.SKIP_INVALID else "all_or_nothing"
