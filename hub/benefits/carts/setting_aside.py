"""Set a quote's vouchers, points and quotas aside; in this order, which all carts share."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.asked import CartAsked, Counter
from hub.benefits.carts.baskets import Taken
from hub.benefits.carts.quote_cart import Weighed
from hub.benefits.carts.views import CartOffer, CartQuote, CartRefusal
from hub.benefits.entitlements.hold import hold as hold_benefit
from hub.benefits.entitlements.requests import DONE
from hub.benefits.vouchers.judge import VoucherAsked
from hub.benefits.vouchers.reserve import reserve_vouchers
from hub.benefits.vouchers.worth import Verdict
from hub.errors import Rejected
from hub.ledger.codes import Outcome
from hub.points.acting_account import acting_account
from hub.points.hold import hold as hold_points


class NotTaken(Exception):
    """Something of a cart cannot be taken, so that nothing of it is."""

    def __init__(self, refusal: CartRefusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def part_key(key: str, part: str) -> str:
    """Return the key of a part of a basket: it meets none of the API's own."""
    return f"{part}:{key}"


async def set_aside(
    db: AsyncConnection,
    *,
    counter: Counter,
    member_id: int | None,
    asked: CartAsked,
    weighed: Weighed,
    quote: CartQuote,
    key: str,
    ttl_seconds: int,
) -> Taken:
    """Set all of it aside for `ttl_seconds`; raises NotTaken, with nothing to be kept, else."""
    vouchers = [one for one in quote.offers if one.source == "voucher"]
    reservation = None
    if vouchers:
        reservation = await _reserve(
            db,
            counter,
            member_id,
            asked=asked,
            weighed=weighed,
            vouchers=vouchers,
            key=key,
            ttl_seconds=ttl_seconds,
        )
    hold_tx = None
    if quote.points and member_id is not None:
        hold_tx = await _hold_points(
            db, counter, member_id, weighed, quote, key=key, ttl_seconds=ttl_seconds
        )
    holds: dict[str, int] = {}
    for one in sorted(quote.offers, key=lambda offer: offer.id):
        if one.source == "benefit" and member_id is not None:
            answer = await hold_benefit(
                db,
                member_id=member_id,
                benefit_code=one.id,
                business_id=counter.business.business_id,
                ttl_seconds=ttl_seconds,
                idempotency_key=part_key(key, f"cart:{len(holds)}"),
                now=counter.now,
                outlet=asked.outlet,
            )
            if answer.outcome not in DONE:
                raise NotTaken(_lost(one, answer.outcome.value))
            holds[one.id] = answer.use_id
    return Taken(hold_tx=hold_tx, voucher_request=reservation, holds=holds)


async def _reserve(
    db: AsyncConnection, counter: Counter, member_id: int | None, *, asked: CartAsked,
    weighed: Weighed, vouchers: list[CartOffer], key: str, ttl_seconds: int,
) -> int:  # fmt: skip
    found = weighed.offered
    answer = await reserve_vouchers(
        db,
        business=counter.business,
        vouchers=[
            VoucherAsked(
                code=found.codes.get(one.id),
                voucher_id=None if one.id in found.codes else int(one.id),
                # What a gift is worth is the price that its funder agreed to, not the bill's.
                amount_minor=None if one.id in found.gifts else one.discount_minor,
            )
            for one in vouchers
        ],
        bill=asked.bill,
        ttl_seconds=ttl_seconds,
        idempotency_key=part_key(key, "cart"),
        business_date=counter.business_date,
        now=counter.now,
        keyring=counter.keyring,
        member_id=member_id,
    )
    if answer.outcome is not Verdict.TAKEN:
        for part, one in zip(answer.parts, vouchers, strict=True):
            if part.verdict not in (Verdict.TAKEN, Verdict.LEFT_OUT):
                raise NotTaken(_lost(one, part.verdict.value))
        raise NotTaken(_lost(vouchers[0], answer.outcome.value))
    return answer.request_id


async def _hold_points(
    db: AsyncConnection, counter: Counter, member_id: int, weighed: Weighed, quote: CartQuote,
    *, key: str, ttl_seconds: int,
) -> int:  # fmt: skip
    business = counter.business
    try:
        answer = await hold_points(
            db,
            business_id=business.business_id,
            member_id=member_id,
            account_id=await acting_account(
                db, member_id=member_id, business_id=business.business_id
            ),
            points=quote.points,
            ttl_seconds=ttl_seconds,
            idempotency_key=part_key(key, "cart"),
            occurred_at=counter.now,
            business_date=counter.business_date,
            today=counter.today,
            now=counter.now,
            acceptance=weighed.acceptance,
            bill_minor=quote.payable_minor + quote.points_minor,
            stopped_issuers=business.stopped_issuers,
        )
    except Rejected as no:
        refusal = CartRefusal(source="points", reason="not_accepted", message=no.message)
        raise NotTaken(refusal) from no
    if answer.outcome is not Outcome.POSTED:
        raise NotTaken(
            CartRefusal(
                source="points",
                reason="insufficient_points",
                message=f"{answer.available or 0} points can be spent: ask for a new quote",
            )
        )
    return answer.tx_id


def _lost(one: CartOffer, reason: str) -> CartRefusal:
    return CartRefusal(
        source=one.source,
        reason=reason,
        message=f"it cannot be used ({reason.replace('_', ' ')}): ask for a new quote",
        id=one.id,
        said=one.said,
    )
