"""A group with voucher campaigns: what the vouchers' tests share."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers import verify
from hub.benefits.vouchers.answers import VoucherAnswer
from hub.benefits.vouchers.assign_voucher import assign_voucher
from hub.benefits.vouchers.cancel import cancel_redemption
from hub.benefits.vouchers.configure import CampaignConfig, configure_campaigns
from hub.benefits.vouchers.judge import VoucherAsked
from hub.benefits.vouchers.queries import Voucher, vouchers_by_id
from hub.benefits.vouchers.redeem import redeem_vouchers
from hub.benefits.vouchers.worth import Bill
from hub.crypto.keyring import Keyring
from hub.programme.apply import EarningRuleConfig
from hub.programme.policy_config import ExpiryPolicyConfig
from hub.programme.queries import Business, business_by_code
from tests.support.settlement import make_group, noon

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
DAY = date(2026, 7, 1)
NOW = noon(DAY)  # a Wednesday, eight in the evening in Shanghai
KEYRING = Keyring.generate()


def campaign(code: str = "ten-off", **facts: Any) -> CampaignConfig:
    """Return a campaign; unsaid, ¥10 off once at the hotel or the restaurant, paid by the shop."""
    said: dict[str, Any] = {
        "kind": "cash",
        "effective_from": START,
        "name": code.title(),
        "name_zh": "券",
        "funder": "retail",
        "currency": "CNY",
        "businesses": ["hotel", "dining"],
        "valid_from": START,
        "valid_until": END,
        **facts,
    }
    if said["kind"] == "cash":
        said.setdefault("amount_minor", 1000)
    return CampaignConfig.model_validate({"code": code, **said})


async def make_campaigns(
    db: AsyncConnection, *campaigns: CampaignConfig, members: int = 3
) -> dict[str, Business]:
    """Configure the group and campaigns, create members 1, 2, …; returns the businesses by code."""
    ids = await make_group(db, [])
    await configure_campaigns(db, campaigns=campaigns or [campaign()])
    await db.execute(
        text("INSERT INTO member (member_id, created_at) SELECT generate_series(1, :n), :at"),
        {"n": members, "at": START},
    )
    return {code: await business_by_code(db, code) for code in ids}


async def given(
    db: AsyncConnection,
    code: str = "ten-off",
    *,
    member_id: int = 1,
    source_id: str = "1",
    **more: Any,
) -> Voucher:
    """Give a member a voucher."""
    facts = {"now": NOW, "keyring": KEYRING, **more}
    return await assign_voucher(
        db, campaign_code=code, member_id=member_id, source="test", source_id=source_id, **facts
    )


def bill(amount_minor: int = 10_000, **facts: Any) -> Bill:
    return Bill(amount_minor=amount_minor, **{"currency": "CNY", **facts})


async def redeemed(
    db: AsyncConnection,
    business: Business,
    vouchers: list[Voucher | VoucherAsked],
    *,
    key: str = "sale",
    of: Bill | None = None,
    member_id: int | None = 1,
    at: datetime = NOW,
    **more: Any,
) -> VoucherAnswer:
    """Redeem vouchers of a member at a business."""
    asked = [
        each if isinstance(each, VoucherAsked) else VoucherAsked(voucher_id=each.voucher_id)
        for each in vouchers
    ]
    return await redeem_vouchers(
        db,
        business=business,
        vouchers=asked,
        bill=of or bill(),
        idempotency_key=key,
        business_date=at.date(),
        now=at,
        keyring=KEYRING,
        member_id=member_id,
        **more,
    )


async def cancelled(
    db: AsyncConnection,
    business: Business,
    entry_id: int | None,
    *,
    key: str,
    amount_minor: int | None = None,
    at: datetime = NOW,
) -> VoucherAnswer:
    """Cancel a redemption, or a part of it."""
    assert entry_id is not None
    return await cancel_redemption(
        db,
        business_id=business.business_id,
        entry_id=entry_id,
        idempotency_key=key,
        business_date=at.date(),
        now=at,
        amount_minor=amount_minor,
    )


async def left(
    db: AsyncConnection, voucher: Voucher, *, at: datetime = NOW
) -> tuple[int, int, int]:
    """Return what is held, used and left of a voucher."""
    found = (await vouchers_by_id(db, voucher_ids=[voucher.voucher_id], now=at))[voucher.voucher_id]
    return found.held, found.used, found.left


async def vouchers_sound(db: AsyncConnection) -> None:
    """Prove the invariants of vouchers."""
    assert [await verify.check(db, name) for name in verify.CHECKS] == [None] * len(verify.CHECKS)


async def accounts_of_members(db: AsyncConnection, business_id: int) -> None:
    """Give members 1 to 3 an account each, of the same number."""
    await db.execute(
        text("""
          INSERT INTO account (account_id, business_id, external_id, created_at)
          OVERRIDING SYSTEM VALUE
          SELECT n, CAST(:shop AS smallint), 'c-' || n, :start FROM generate_series(1, 3) n"""),
        {"shop": business_id, "start": START},
    )
    await db.execute(
        text("""
          INSERT INTO account_link (account_id, member_id, method, valid)
          SELECT account_id, account_id, 'birth', tstzrange(:start, NULL) FROM account"""),
        {"start": START},
    )


async def earning_rules(db: AsyncConnection) -> None:
    """Say what the shop's points cost it, and when points end."""
    rule = EarningRuleConfig(
        business="retail",
        effective_from=START,
        points_per_unit=Decimal(1),
        qualifying_per_unit=Decimal(1),
        cost_per_point=Decimal("0.008"),
    )
    await make_group(
        db, [], rules=[rule], expiry=[ExpiryPolicyConfig(effective_from=START, months=12)]
    )
