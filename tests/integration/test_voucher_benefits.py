"""Vouchers that give uses of a benefit, as they become a member's."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.configure import configure
from hub.benefits.entitlements.queries import grants
from hub.benefits.memberships.plans import PlanConfig, configure_plans
from hub.benefits.use import use
from hub.benefits.vouchers.claim import VoucherRefused, claim_voucher
from hub.benefits.vouchers.codes_of_batch import codes_of_batch
from hub.benefits.vouchers.configure import CampaignConfig, configure_campaigns
from hub.benefits.vouchers.generate import generate, open_batch
from hub.benefits.vouchers.queries import VoucherState
from hub.benefits.vouchers.take import VoucherAsked
from hub.benefits.vouchers.worth import Verdict
from hub.errors import Malformed, NotFound
from hub.programme.queries import Business
from tests.support.benefits import LADDER, late_checkout
from tests.support.vouchers import (
    DAY,
    KEYRING,
    NOW,
    START,
    campaign,
    given,
    make_campaigns,
    redeemed,
    vouchers_sound,
)


def stay(code: str = "stay", **facts: Any) -> CampaignConfig:
    said = {"kind": "benefit", "benefit": "late-checkout", "benefit_uses": 2, **facts}
    return campaign(code, **said)


async def group(db: AsyncConnection, *campaigns: CampaignConfig) -> dict[str, Business]:
    shops = await make_campaigns(db)
    await configure(db, tiers=LADDER, benefits=[late_checkout(quota=0)])
    await configure_campaigns(db, campaigns=campaigns or [stay(valid_days=9)])
    return shops


async def codes(db: AsyncConnection, count: int) -> list[str]:
    batch = await open_batch(db, campaign_code="stay", name="b", count=count, now=NOW)
    while await generate(db, batch_id=batch.batch_id, keyring=KEYRING):
        pass
    return [
        code
        async for some in codes_of_batch(db, batch_id=batch.batch_id, keyring=KEYRING)
        for code in some
    ]


async def has(db: AsyncConnection, member_id: int = 1) -> list[tuple[str, int, date, date]]:
    found = (await grants(db, member_ids=[member_id], now=NOW))[member_id]
    return [(one.source, one.remaining, one.starts_on, one.ends_on) for one in found]


async def test_a_code_that_is_claimed_is_a_quota_once(db: AsyncConnection) -> None:
    shops = await group(db)
    code, other = await codes(db, 2)
    till = await redeemed(db, shops["hotel"], [VoucherAsked(code=code)])
    assert till.outcome is Verdict.NOTHING_TO_TAKE
    for _ in range(2):
        voucher = await claim_voucher(db, code=code, member_id=1, now=NOW, keyring=KEYRING)
        assert voucher.state is VoucherState.USED_UP
    assert await has(db) == [("voucher", 2, DAY, DAY + timedelta(days=9))]
    with pytest.raises(VoucherRefused) as no:
        await claim_voucher(db, code=code, member_id=2, now=NOW, keyring=KEYRING)
    assert no.value.reason == Verdict.NOT_YOURS
    await claim_voucher(db, code=other, member_id=2, now=NOW, keyring=KEYRING)
    done = await use(
        db, member_id=2, benefit_code="late-checkout", business_id=shops["hotel"].business_id,
        idempotency_key="u", now=NOW,
    )  # fmt: skip
    assert (done.outcome.value, done.remaining) == ("used", 1)
    await vouchers_sound(db)


async def test_what_is_given_by_hand_is_a_quota_too_for_its_own_days(db: AsyncConnection) -> None:
    await group(db, stay(benefit_days=3, valid_from=NOW + timedelta(days=2)))
    for _ in range(2):
        assert (await given(db, "stay")).state is VoucherState.USED_UP
    first = DAY + timedelta(days=2)
    assert await has(db) == [("voucher", 2, first, first + timedelta(days=2))]
    await vouchers_sound(db)


async def test_a_campaign_of_benefits_says_what_it_gives_and_nothing_else(
    db: AsyncConnection,
) -> None:
    for wrong, why in (
        ({"benefit_uses": None}, "benefit_uses"), ({"uses": 2}, "leave out"),
        ({"transferable": True}, "leave out"), ({"amount_minor": 5}, "amount_minor"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=why):
            stay(**wrong)
    await group(db)
    with pytest.raises(NotFound, match="no-such"):
        await configure_campaigns(db, campaigns=[stay("x", benefit="no-such")])
    facts = {
        "code": "club", "effective_from": START, "name": "Club", "name_zh": "会员",
        "price_minor": 1, "currency": "CNY", "period": "month", "vouchers": [{"campaign": "stay"}],
    }  # fmt: skip
    with pytest.raises(Malformed, match="the benefit itself"):
        await configure_plans(db, plans=[PlanConfig.model_validate(facts)])
