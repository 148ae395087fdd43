"""Who has a voucher: assign, claim, transfer, void."""

from enum import Enum
from typing import Annotated

import strawberry

from graphql_schema.access import CLAIMERS, CORRECTORS, require
from graphql_schema.context import Info
from graphql_schema.desk import KEY, open_desk
from graphql_schema.fields import Given, resolved
from graphql_schema.finding import MemberKey, whole_number
from graphql_schema.rejections import (
    REFUSALS,
    MemberUnknown,
    Refused,
    Rejection,
    member_unknown,
    refused,
)
from graphql_schema.vouchers import Voucher
from hub import errors
from hub.benefits.vouchers.assign_voucher import VoucherLimitReached, assign_voucher
from hub.benefits.vouchers.claim import VoucherRefused, claim_voucher
from hub.benefits.vouchers.transfer import transfer_voucher
from hub.benefits.vouchers.void import void_voucher

_LONGEST_REASON = 500


@strawberry.input(description="A new voucher for a member.")
class AssignVoucherInput:
    """An assignment by hand."""

    member: MemberKey = strawberry.field(description="Who gets it.")
    campaign: str = strawberry.field(description="The campaign's short name.")
    reason: str = strawberry.field(description="Why; its history keeps it.")
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input(description="A voucher that a member has the code of.")
class ClaimVoucherInput:
    """A claim."""

    code: str = strawberry.field(description="The code as it was typed.")
    member: MemberKey | None = strawberry.field(
        default=None,
        description="For whom; unsaid, the member who is signed in. Only staff act for others.",
    )


@strawberry.input(description="A voucher that is given away.")
class TransferVoucherInput:
    """A transfer."""

    voucher: strawberry.ID = strawberry.field(description="The voucher's number.")
    receiver: strawberry.ID = strawberry.field(
        description="The number of the member who gets it, as it is on their card."
    )
    member: MemberKey | None = strawberry.field(
        default=None,
        description="Whose it is; unsaid, the member who is signed in. Only staff act for others.",
    )


@strawberry.input(description="A voucher that should not be used any more.")
class VoidVoucherInput:
    """A voiding."""

    voucher: strawberry.ID = strawberry.field(description="The voucher's number.")
    reason: str = strawberry.field(description="Why; its history keeps it.")


@strawberry.enum(description="Why a voucher cannot be had, or given away.")
class VoucherRefusal(Enum):
    """The reasons of hub.benefits.vouchers."""

    UNKNOWN = strawberry.enum_value("unknown", description="There is no such voucher.")
    NOT_YOURS = strawberry.enum_value("not_yours", description="It is somebody else's.")
    NOT_TRANSFERABLE = strawberry.enum_value(
        "not_transferable", description="It may not be given away."
    )
    RESERVED_ELSEWHERE = strawberry.enum_value(
        "reserved_elsewhere", description="It is reserved at a till."
    )
    USED_UP = strawberry.enum_value("used_up", description="Nothing is left of it.")
    EXPIRED = strawberry.enum_value("expired", description="It has ended.")
    VOIDED = strawberry.enum_value("voided", description="It was voided.")
    LIMIT_REACHED = strawberry.enum_value(
        "limit_reached", description="The member has had all that the campaign gives one."
    )
    CAMPAIGN_OVER = strawberry.enum_value(
        "campaign_over", description="The campaign gives none any more."
    )


@strawberry.type(description="The voucher is as it says.")
class VoucherKept:
    """What was done."""

    voucher: Voucher = strawberry.field(description="The voucher, as it stands now.")


@strawberry.type(description="The voucher cannot be had, or given away.")
class VoucherDeclined(Rejection):
    """Nothing was stored."""

    reason: VoucherRefusal = strawberry.field(description="Why.")


VoucherResult = Annotated[
    VoucherKept | VoucherDeclined | MemberUnknown | Refused,
    strawberry.union("VoucherResult", description="What came of it."),
]


def _declined(no: errors.Rejected) -> VoucherDeclined:
    reason = "campaign_over"
    if isinstance(no, VoucherRefused):
        reason = no.reason
    elif isinstance(no, VoucherLimitReached):
        reason = "limit_reached"
    return VoucherDeclined(message=no.message, reason=VoucherRefusal(reason))


@strawberry.type
class VoucherKeepingMutation:
    """Who has a voucher."""

    @resolved("Give a member a new voucher of a campaign. For staff.")
    async def assign_voucher(
        self,
        info: Info,
        input: Given[AssignVoucherInput],  # noqa: A002
    ) -> VoucherResult:
        """Assign and commit, or answer why not."""
        context = info.context
        try:
            desk = await open_desk(
                context,
                roles=CORRECTORS,
                member=input.member,
                idempotency_key=input.idempotency_key,
            )
            said = input.reason
            if not 1 <= len(said.strip()) <= _LONGEST_REASON or not said.isprintable():
                raise errors.Malformed(
                    f"a reason has from 1 to {_LONGEST_REASON} printable characters",
                    field="reason",
                )
            async with context.writing() as db:
                row = await assign_voucher(
                    db,
                    campaign_code=input.campaign,
                    member_id=desk.member.member_id,
                    source="staff",
                    source_id=desk.idempotency_key,
                    now=context.now,
                    keyring=context.keyring,
                    actor=desk.caller.subject,
                    reason=input.reason,
                )
        except errors.NotFound as no:
            if no.facts.get("field") != "campaign":
                return member_unknown()
            return refused(errors.Malformed(no.message, field="campaign"))
        except errors.Rejected as no:
            return _declined(no)
        except REFUSALS as no:
            return refused(no)
        return VoucherKept(voucher=Voucher.of(row))

    @resolved("Make a voucher one's own by its code; to claim it twice is to claim it once.")
    async def claim_voucher(
        self,
        info: Info,
        input: Given[ClaimVoucherInput],  # noqa: A002
    ) -> VoucherResult:
        """Claim and commit, or answer why not."""
        context = info.context
        try:
            desk = await open_desk(
                context, roles=CLAIMERS, member=input.member, idempotency_key="claim"
            )
            async with context.writing() as db:
                row = await claim_voucher(
                    db,
                    code=input.code,
                    member_id=desk.member.member_id,
                    now=context.now,
                    keyring=context.keyring,
                )
        except errors.NotFound:
            return member_unknown()
        except errors.Rejected as no:
            return _declined(no)
        except REFUSALS as no:
            return refused(no)
        return VoucherKept(voucher=Voucher.of(row))

    @resolved("Give a voucher, with what is left of it, to another member; to send it again "
              "changes nothing.")  # fmt: skip
    async def transfer_voucher(
        self,
        info: Info,
        input: Given[TransferVoucherInput],  # noqa: A002
    ) -> VoucherResult:
        """Transfer and commit, or answer why not."""
        context = info.context
        try:
            desk = await open_desk(
                context, roles=CLAIMERS, member=input.member, idempotency_key="transfer"
            )
            async with context.writing() as db:
                row = await transfer_voucher(
                    db,
                    voucher_id=whole_number(input.voucher, field="voucher"),
                    member_id=desk.member.member_id,
                    receiver_id=whole_number(input.receiver, field="receiver"),
                    now=context.now,
                )
        except errors.NotFound:
            return member_unknown()
        except errors.Rejected as no:
            return _declined(no)
        except REFUSALS as no:
            return refused(no)
        return VoucherKept(voucher=Voucher.of(row))

    @resolved("End a voucher for good. For staff; to void it twice is to void it once.")
    async def void_voucher(
        self,
        info: Info,
        input: Given[VoidVoucherInput],  # noqa: A002
    ) -> VoucherResult:
        """Void and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CORRECTORS)
            async with context.writing() as db:
                row = await void_voucher(
                    db,
                    voucher_id=whole_number(input.voucher, field="voucher"),
                    actor=caller.subject,
                    reason=input.reason,
                    now=context.now,
                )
        except errors.NotFound as no:
            return VoucherDeclined(message=no.message, reason=VoucherRefusal.UNKNOWN)
        except REFUSALS as no:
            return refused(no)
        return VoucherKept(voucher=Voucher.of(row))
