"""Vouchers at a till: reserve, redeem, release, cancel."""

import strawberry

from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, resolved
from graphql_schema.finding import served
from graphql_schema.rejections import (
    REFUSALS,
    MemberUnknown,
    refused,
)
from graphql_schema.till import Till, open_till, transaction_number
from graphql_schema.voucher_requests import (
    CancelVoucherRedemptionInput,
    RedeemVouchersInput,
    ReleaseVouchersInput,
    ReserveVouchersInput,
    VouchersResult,
    asked,
    bill_of,
    policy_of,
    told,
)
from hub.benefits.vouchers.answers import VoucherAnswer
from hub.benefits.vouchers.cancel import cancel_redemption
from hub.benefits.vouchers.redeem import redeem_reserved, redeem_vouchers
from hub.benefits.vouchers.release import release_vouchers
from hub.benefits.vouchers.reserve import reserve_vouchers
from hub.errors import Malformed


@strawberry.type
class VoucheringMutation:
    """Vouchers at a till."""

    @resolved("Keep vouchers for a bill that is about to be paid. What is not redeemed or released "
              "in time is free again.")  # fmt: skip
    async def reserve_vouchers(
        self,
        info: Info,
        input: Given[ReserveVouchersInput],  # noqa: A002
    ) -> VouchersResult:
        """Reserve and commit, or answer why not."""
        context = info.context
        try:
            till = await open_till(
                context, business=input.business, idempotency_key=input.idempotency_key
            )
            member_id = await served(context, input.member)
            if isinstance(member_id, MemberUnknown):
                return member_id
            async with context.writing() as db:
                answer = await reserve_vouchers(
                    db,
                    business=till.business,
                    vouchers=asked(input.vouchers),
                    bill=bill_of(till, input.bill),
                    ttl_seconds=input.ttl_seconds,
                    idempotency_key=till.idempotency_key,
                    business_date=context.trading_day(till.business),
                    now=context.now,
                    keyring=context.keyring,
                    member_id=member_id,
                    policy=policy_of(input.policy),
                )
        except REFUSALS as no:
            return refused(no)
        return told(answer)

    @resolved("Take vouchers off a bill, at once or as they were reserved.")
    async def redeem_vouchers(
        self,
        info: Info,
        input: Given[RedeemVouchersInput],  # noqa: A002
    ) -> VouchersResult:
        """Redeem and commit, or answer why not."""
        context = info.context
        try:
            till = await open_till(
                context, business=input.business, idempotency_key=input.idempotency_key
            )
            if input.reservation is not None:
                return told(await _redeem_reserved(context, till, input))
            if input.bill is None:
                raise Malformed("say what the vouchers are for", field="bill")
            member_id = await served(context, input.member)
            if isinstance(member_id, MemberUnknown):
                return member_id
            async with context.writing() as db:
                answer = await redeem_vouchers(
                    db,
                    business=till.business,
                    vouchers=asked(input.vouchers),
                    bill=bill_of(till, input.bill),
                    idempotency_key=till.idempotency_key,
                    business_date=context.trading_day(till.business),
                    now=context.now,
                    keyring=context.keyring,
                    member_id=member_id,
                    policy=policy_of(input.policy),
                )
        except REFUSALS as no:
            return refused(no)
        return told(answer)

    @resolved("Give up a reservation of vouchers.")
    async def release_vouchers(
        self,
        info: Info,
        input: Given[ReleaseVouchersInput],  # noqa: A002
    ) -> VouchersResult:
        """Release and commit, or answer why not."""
        context = info.context
        try:
            till = await open_till(
                context, business=input.business, idempotency_key=input.idempotency_key
            )
            async with context.writing() as db:
                answer = await release_vouchers(
                    db,
                    business_id=till.business.business_id,
                    reservation_id=transaction_number(input.reservation, field="reservation"),
                    idempotency_key=till.idempotency_key,
                    business_date=context.trading_day(till.business),
                    now=context.now,
                )
        except REFUSALS as no:
            return refused(no)
        return told(answer)

    @resolved("Undo the redemption of a voucher, as what it was used for is refunded, all or in "
              "parts. What comes back to the voucher is by its campaign's terms.")  # fmt: skip
    async def cancel_voucher_redemption(
        self,
        info: Info,
        input: Given[CancelVoucherRedemptionInput],  # noqa: A002
    ) -> VouchersResult:
        """Cancel and commit, or answer why not."""
        context = info.context
        try:
            till = await open_till(
                context, business=input.business, idempotency_key=input.idempotency_key
            )
            async with context.writing() as db:
                answer = await cancel_redemption(
                    db,
                    business_id=till.business.business_id,
                    entry_id=transaction_number(input.redemption, field="redemption"),
                    idempotency_key=till.idempotency_key,
                    business_date=context.trading_day(till.business),
                    now=context.now,
                    amount_minor=input.amount_minor,
                )
        except REFUSALS as no:
            return refused(no)
        return told(answer)


async def _redeem_reserved(
    context: Context,
    till: Till,
    input: RedeemVouchersInput,  # noqa: A002
) -> VoucherAnswer:
    amounts = {}
    for each in asked(input.vouchers):
        if each.voucher_id is None or each.amount_minor is None:
            raise Malformed(
                "of a reservation, give the number and the amount of what is less", field="vouchers"
            )
        amounts[each.voucher_id] = each.amount_minor
    reservation = transaction_number(input.reservation or "", field="reservation")
    async with context.writing() as db:
        return await redeem_reserved(
            db,
            business_id=till.business.business_id,
            reservation_id=reservation,
            idempotency_key=till.idempotency_key,
            business_date=context.trading_day(till.business),
            now=context.now,
            amounts=amounts,
        )
