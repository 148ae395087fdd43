"""Han of the hotel has of every benefit, and does with it what can be done."""

from datetime import timedelta
from typing import Any

from hub.benefits.memberships.plans import PlanConfig, configure_plans
from hub.benefits.rewards.configure import configure_rewards
from hub.benefits.vouchers.configure import configure_campaigns
from hub.clock import now
from tests.integration.api_kit import HOTEL, STAFF, START
from tests.support.access_world import PHONE, World
from tests.support.rewards import reward
from tests.support.vouchers import campaign

PLAN = {
    "code": "club", "effective_from": START, "name": "Club", "name_zh": "会员", "price_minor": 3100,
    "currency": "CNY", "period": "month", "trial_days": 7, "grace_days": 5, "seller": "hotel",
    "grants": [{"benefit": "room-upgrade", "quantity": 2}],
}  # fmt: skip
GOLD_CLUB = {**PLAN, "code": "gold-club", "price_minor": 9900, "period": "days", "period_days": 30,
             "tier": "gold", "points": 40, "points_issuer": "hotel",
             "vouchers": [{"campaign": "ten-off", "quantity": 1}]}  # fmt: skip
BEST_CLUB = {**PLAN, "code": "best-club", "price_minor": 99900, "period": "days",
             "period_days": 30}  # fmt: skip
TERMS = "{ me { memberships { plan terms { payment trial } } } }"


async def configure_benefits(world: World) -> None:
    """Give the group rewards, campaigns and plans of the hotel."""
    until = now() + timedelta(days=365)
    facts: dict[str, Any] = {
        "funder": "hotel", "businesses": ["hotel"], "valid_from": START, "valid_until": until,
        "effective_from": START,
    }  # fmt: skip
    pictures = [{"url": "https://example.com/towel.jpg", "alt": {"en": "A towel"}}]
    async with world.api.engine.begin() as db:
        await configure_campaigns(db, campaigns=[
            campaign("ten-off", transferable=True, **facts),
            campaign("tenth", kind="percentage", percent="10", cap_minor=5000,
                     valid_days=30, per_member=3, outlets=["lobby"], categories=["spa"],
                     stacking_group="spa", **facts),
            campaign("over", kind="threshold", threshold_minor=10_000, amount_minor=100,
                     **facts),
            campaign("cake", kind="gift", item="cake", price_minor=100, **facts),
            campaign("extra", kind="points", points=9, price_minor=100, **facts),
            campaign("night", kind="benefit", benefit="room-upgrade", benefit_uses=1, **facts),
        ])  # fmt: skip
        await configure_rewards(db, rewards=[
            reward("towel", "hotel", 10, pictures=pictures),
            reward("suite", "hotel", 20, price_minor=900, tier="iron", limit_orders=9,
                   available_until=until, benefit="room-upgrade", uses=1),
            reward("slip", "hotel", 5, voucher="ten-off"),
        ])  # fmt: skip
        plans = [PlanConfig.model_validate(plan) for plan in (PLAN, GOLD_CLUB, BEST_CLUB)]
        await configure_plans(db, plans=plans)


async def use_benefits(world: World) -> None:
    """Use entitlements, be given some, and be in plans."""
    act, upgrade = world.act, {**PHONE, "benefit": "room-upgrade"}
    await act("holdBenefit", HOTEL, **upgrade)
    for verb in ("useHeld", "releaseHeld"):
        hold = await act("holdBenefit", HOTEL, **upgrade, ttlSeconds=600)
        await act(verb, HOTEL, hold=hold["hold"])
        if verb == "useHeld":
            [use] = [one["use"] for verb, _, _, one in world.said if verb == "useHeld"]
            await act("cancelUse", HOTEL, use=use)
    await act("useEntitlement", HOTEL, **upgrade)
    await world.ask("useEntitlement", HOTEL, **{**upgrade, "quantity": 50})
    granted = {"benefit": "room-upgrade", "quantity": 3, "endsOn": world.in_days(60),
               "reason": "canary flood"}  # fmt: skip
    given = await act("grantEntitlement", STAFF, **PHONE, **granted)
    await act("grantEntitlement", STAFF, **PHONE, **granted)
    await act("revokeEntitlement", STAFF, grant=given["grant"]["number"], reason="canary not his")
    soon = {**granted, "endsOn": world.in_days(1)}
    many = {**soon, "campaign": "spring", "members": [f"{world.han.member_id}"]}
    await act("previewGrant", STAFF, **many)
    await act("grantToMany", STAFF, **many)
    await act("useEntitlement", HOTEL, **upgrade)
    await _be_in_plans(world)


async def _be_in_plans(world: World) -> None:
    act = world.act
    await act("startTrial", HOTEL, **PHONE, plan="club")
    paid = {"amountMinor": 9900, "currency": "CNY"}
    await act("noteMembershipPayment", HOTEL, **PHONE, plan="gold-club", **paid)
    await world.ask("startTrial", HOTEL, **PHONE, plan="club")
    await act("noteMembershipPayment", HOTEL, **PHONE, plan="gold-club", **paid)
    plans = {"fromPlan": "club", "toPlan": "best-club"}
    await world.ask("upgradeMembership", HOTEL, **PHONE, **plans, paidMinor=1)
    await act("upgradeMembership", HOTEL, **PHONE, **plans, paidMinor=99900)
    mine = (await world.api.data(TERMS, world.han.principal))["me"]["memberships"]
    [best] = [one for one in mine if one["plan"] == "best-club"]
    part = {"payment": best["terms"][0]["payment"], "amountMinor": 100}
    await act("noteMembershipRefund", HOTEL, **part)
    await act("cancelMembership", HOTEL, **PHONE, plan="best-club", reason="canary enough")


async def order_rewards(world: World) -> None:
    """Order rewards, pay for them, be handed them and give them back."""
    act, han = world.act, world.han.principal
    for reward_code in ("towel", "suite", "slip"):
        await act("stockReward", HOTEL, reward=reward_code, quantity=9)
    await world.ask("stockReward", HOTEL, reward="towel", quantity=-99)
    orders = {}
    for name, code in (("kept", "towel"), ("given up", "towel"), ("back", "towel"),
                       ("suite", "suite"), ("unpaid", "suite"), ("slip", "slip")):  # fmt: skip
        orders[name] = (await act("orderReward", han, reward=code))["order"]["id"]
    await act("payRewardOrder", HOTEL, order=orders["suite"], paymentReference="till 7")
    for name in ("kept", "back", "suite"):
        await act("fulfilRewardOrder", HOTEL, order=orders[name], deliveryNote="canary by hand")
    await act("cancelRewardOrder", han, order=orders["given up"])
    await act("returnRewardOrder", HOTEL, order=orders["back"], restock=True)
    world.found["RewardOrder"] = orders["kept"]


async def use_vouchers(world: World) -> None:
    """Be given vouchers, use them, give them on, and pay carts with them."""
    act, han, bill = world.act, world.han.principal, {"bill": {"amountMinor": 90_000}}
    given = {**PHONE, "reason": "canary sorry"}
    numbers = [
        (await act("assignVoucher", STAFF, **given, campaign=code))["voucher"]["number"]
        for code in (*("ten-off",) * 6, "tenth")
    ]
    await act("generateVouchers", STAFF, campaign="ten-off", batch="canary batch", count=1)
    await act("voidVoucher", STAFF, voucher=numbers[0], reason="canary twice")
    by_number = {**PHONE, **bill, "vouchers": [{"number": numbers[1]}]}
    taken = await act("redeemVouchers", HOTEL, **by_number)
    redemption = taken["parts"][0]["redemption"]
    await act("cancelVoucherRedemption", HOTEL, redemption=redemption)
    kept = await act("reserveVouchers", HOTEL, **by_number, ttlSeconds=900)
    await act("releaseVouchers", HOTEL, reservation=kept["number"])
    await world.ask("redeemVouchers", HOTEL, **PHONE, **bill, vouchers=[{"number": numbers[0]}])
    await world.ask("voidVoucher", STAFF, voucher=numbers[1], reason="canary twice")
    moved = await act(
        "transferVoucher", han, voucher=numbers[2], receiver=f"{world.guest.member_id}"
    )
    assert moved["voucher"]["code"] is None
    asked = """{ me { vouchers(first: 20) { nodes { number code } } } }"""
    mine = (await world.api.data(asked, han))["me"]["vouchers"]["nodes"]
    codes = {one["number"]: one["code"] for one in mine}
    world.found["code"] = codes[numbers[3]]
    await act("claimVoucher", han, code=world.found["code"])
    await _pay_carts(world, [codes[numbers[3]], codes[numbers[0]]])


async def _pay_carts(world: World, codes: list[str]) -> None:
    act = world.act
    lines = [{"id": "a", "unitPriceMinor": 90_000}]
    cart = {"cart": {"lines": lines, "points": 5, "vouchers": codes}, **PHONE}
    await act("reserveCart", HOTEL, idempotencyKey="cart-1", **cart, ttlSeconds=900)
    await act("redeemCart", HOTEL, idempotencyKey="cart-1")
    await act("refundCart", HOTEL, basket="cart-1", lines=[{"id": "a", "quantity": 1}])
    await act("reserveCart", HOTEL, idempotencyKey="cart-2", **cart, ttlSeconds=900)
    await act("releaseCart", HOTEL, idempotencyKey="cart-2")
    picky = {**cart["cart"], "policy": "ALL_OR_NOTHING"}
    await world.ask("redeemCart", HOTEL, **PHONE, cart=picky)


async def be_of_tiers(world: World) -> None:
    """Be given tiers by hand and by a match, one of which is revoked."""
    act = world.act
    until, reason = world.in_days(90), "canary guest"
    given = await act("grantTier", STAFF, **PHONE, tier="gold", validUntil=until, reason=reason)
    await act("revokeTier", STAFF, award=given["award"]["number"], reason="canary wrong")
    await act("grantTier", STAFF, **PHONE, tier="gold", validUntil=until, reason=reason)
    await act("matchTier", STAFF, **PHONE, tier="gold", partner="Blue Air", evidence="canary card",
              validUntil=world.in_days(200), reason="canary match", trialUntil=world.in_days(30),
              challenge={"points": 300})  # fmt: skip
