"""Give back what a refund's units had used: to the points' lots, to quotas, to vouchers."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.asked import Counter
from hub.benefits.carts.baskets import Basket, OfferPart
from hub.benefits.entitlements.cancel_use import cancel_use
from hub.benefits.entitlements.lock_quotas import lock_parts
from hub.benefits.quoting.offers import Kind
from hub.benefits.vouchers.cancel import cancel_redemption
from hub.benefits.vouchers.claim import lock_vouchers
from hub.benefits.vouchers.queries import vouchers_by_id
from hub.ledger.post import lock_balances
from hub.ledger.queries import restored
from hub.points.restore import restore
from hub.programme.policy_queries import policies


async def give_back(
    db: AsyncConnection,
    *,
    counter: Counter,
    basket: Basket,
    key: str,
    offers: Sequence[OfferPart],
    given: Sequence[int],
    points: int,
) -> None:
    """Give back to each offer what is `given` of it, its use with the last, and `points`.

    What came back by another way already (the sale's own refund restored the points, a voucher was
    cancelled by hand) does not come back twice.
    """
    await _give_back_points(db, counter, basket, key, points)
    await _give_back_uses(db, counter, key, offers, given)
    await _give_back_vouchers(db, counter, key, offers, given)


async def _give_back_uses(
    db: AsyncConnection, counter: Counter, key: str, offers: Sequence[OfferPart],
    given: Sequence[int],
) -> None:  # fmt: skip
    whole = [
        (part, part.taken_id)
        for part, amount in zip(offers, given, strict=True)
        if amount > 0 and not any(part.by_line) and not part.given_back
        and part.benefit_code is not None and part.taken_id is not None
    ]  # fmt: skip
    if len(whole) > 1:
        await lock_parts(db, ids=[use_id for _, use_id in whole])
    for part, use_id in whole:
        await cancel_use(
            db,
            business_id=counter.business.business_id,
            use_id=use_id,
            idempotency_key=f"{key}:{part.place}",
            now=counter.now,
        )
        part.given_back = True


async def _give_back_vouchers(
    db: AsyncConnection, counter: Counter, key: str, offers: Sequence[OfferPart],
    given: Sequence[int],
) -> None:  # fmt: skip
    vouchers = [one.voucher_id for one in offers if one.voucher_id is not None]
    if not vouchers:
        return
    await lock_vouchers(db, voucher_ids=vouchers)
    known = await vouchers_by_id(db, voucher_ids=vouchers, now=counter.now)
    for part, amount in zip(offers, given, strict=True):
        if amount == 0 or part.given_back or part.voucher_id is None or part.taken_id is None:
            continue
        last = not any(part.by_line)
        gift = known[part.voucher_id].terms.kind.value == Kind.GIFT.value
        if gift and not last:
            continue
        await cancel_redemption(
            db,
            business_id=counter.business.business_id,
            entry_id=part.taken_id,
            idempotency_key=f"{key}:{part.place}",
            business_date=counter.business_date,
            now=counter.now,
            amount_minor=None if last else amount,
        )
        part.given_back = last


async def _give_back_points(
    db: AsyncConnection, counter: Counter, basket: Basket, key: str, points: int
) -> None:
    if basket.redeem_tx is None or basket.member_id is None:
        return
    await lock_balances(db, member_ids=[basket.member_id])
    back = await restored(db, member_id=basket.member_id, redemption_tx=basket.redeem_tx)
    points = min(points, basket.points - back)
    if points <= 0:
        return
    rules = await policies(db)
    await restore(
        db,
        business_id=counter.business.business_id,
        member_id=basket.member_id,
        redemption_tx=basket.redeem_tx,
        points=points,
        idempotency_key=key,
        occurred_at=counter.now,
        business_date=counter.business_date,
        today=counter.today,
        now=counter.now,
        grace_days=rules.points(counter.now).restore_grace_days,
    )
