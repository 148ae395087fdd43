"""Rewards that nobody hands out: a voucher or a benefit is given with the order, and taken back."""

from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.grant_entitlement import grant_entitlement
from hub.benefits.entitlements.revoke import revoke
from hub.benefits.rewards.codes import OrderState
from hub.benefits.rewards.step import Standing
from hub.benefits.vouchers.assign_voucher import assign_voucher
from hub.benefits.vouchers.claim import lock_vouchers
from hub.benefits.vouchers.queries import VoucherState, vouchers_by_id
from hub.benefits.vouchers.void import void_voucher
from hub.crypto.keyring import Keyring
from hub.errors import Rejected

_ENDED = "the order of a reward ended"


class RewardUsed(Rejected):
    """What an order brought was used, given away or has ended: it cannot be given back."""

    code = "reward_used"


_BRINGS = text("""
SELECT c.code AS campaign, b.code AS benefit, t.uses, t.valid_days
FROM reward_order o JOIN LATERAL (SELECT * FROM reward_terms t
  WHERE t.reward_id = o.reward_id AND t.effective_from <= o.ordered_at
  ORDER BY t.effective_from DESC LIMIT 1) t ON true
LEFT JOIN voucher_campaign c USING (campaign_id)
LEFT JOIN benefit b ON b.benefit_id = t.benefit_id
WHERE o.order_id = :order_id AND num_nonnulls(t.campaign_id, t.benefit_id) > 0
""")


async def hand_out(
    db: AsyncConnection,
    *,
    order_id: int,
    member_id: int,
    actor: str,
    today: date,
    now: datetime,
    keyring: Keyring,
) -> bool:
    """Give the member what the order brings, by the terms it was ordered under.

    Returns whether that is all there is to it; False: somebody hands it out. `today` is the group's
    date. Balances are locked before. Raises VoucherLimitReached, Rejected for a campaign that is
    over, and NotFound for one or a benefit without terms in force.
    """
    brings = (await db.execute(_BRINGS, {"order_id": order_id})).one_or_none()
    if brings is None:
        return False
    voucher_id = entitlement_id = None
    # Quotas before vouchers, as carts take them.
    if brings.benefit is not None:
        granted = await grant_entitlement(
            db, member_id=member_id, benefit_code=brings.benefit, quantity=brings.uses,
            source="reward", source_id=str(order_id), starts_on=today,
            ends_on=today + timedelta(days=brings.valid_days), now=now, actor=actor,
        )  # fmt: skip
        entitlement_id = granted.entitlement_id
    if brings.campaign is not None:
        voucher = await assign_voucher(
            db, campaign_code=brings.campaign, member_id=member_id, source="reward",
            source_id=str(order_id), now=now, keyring=keyring, actor=actor,
        )  # fmt: skip
        voucher_id = voucher.voucher_id
    await db.execute(
        text("""
          UPDATE reward_order SET voucher_id = :voucher_id, entitlement_id = :entitlement_id
          WHERE order_id = :order_id"""),
        {"voucher_id": voucher_id, "entitlement_id": entitlement_id, "order_id": order_id},
    )
    return True


async def take_back(db: AsyncConnection, standing: Standing, *, actor: str, now: datetime) -> None:
    """Void what an order brought, of which nothing was used; raises RewardUsed else.

    The caller holds the order and the member's balances.
    """
    if standing.entitlement_id is not None:
        untouched = await db.scalar(
            text("""
              SELECT free = granted FROM entitlement WHERE entitlement_id = :id FOR UPDATE"""),
            {"id": standing.entitlement_id},
        )
        if not untouched:
            raise _used("benefit")
        await revoke(
            db, entitlement_id=standing.entitlement_id, reason=_ENDED, actor=actor, now=now
        )
    if standing.voucher_id is not None:
        await lock_vouchers(db, voucher_ids=[standing.voucher_id])
        found = await vouchers_by_id(db, voucher_ids=[standing.voucher_id], now=now)
        voucher = found[standing.voucher_id]
        theirs = voucher.member_id == standing.member_id and not (voucher.used or voucher.held)
        if not theirs or voucher.state is VoucherState.EXPIRED:
            raise _used("voucher")
        await void_voucher(
            db, voucher_id=voucher.voucher_id, actor=actor, reason=_ENDED, now=now
        )  # fmt: skip


def _used(what: str) -> RewardUsed:
    return RewardUsed(
        f"the order's {what} was used, is set aside at a till, was given away or has ended: the "
        "order stands",
        state=OrderState.FULFILLED.value,
        what=what,
    )
