"""Both sides of a referral are given something while it counts, and once."""

from datetime import timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.referrals.configure import GiftConfig, ReferralConfig, configure_referrals
from hub.benefits.referrals.judge_referrals import SETTLE
from hub.benefits.referrals.settle_gifts import SettledGifts, settle_gifts
from hub.benefits.vouchers.configure import configure_campaigns
from hub.errors import Conflict, NotFound
from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from hub.ledger.verify import verify
from hub.rights.erase import erase
from tests.support.benefits import SPRING
from tests.support.referrals import KEYRING, Town, terms
from tests.support.vouchers import campaign

DAY = timedelta(days=1)
GIFTS = {
    "referrer": GiftConfig(points=200, business="hotel"),
    "referred": GiftConfig(points=50, business="retail", voucher="ten-off"),
    "give_after_days": 14,
}


async def opened(db: AsyncConnection) -> tuple[Town, int, int]:
    """Mei has brought Han, who has bought."""
    town = await Town.open(db, terms(open=False))
    await configure_campaigns(db, campaigns=[campaign()])
    said = terms(effective_from=SPRING - DAY, **GIFTS)
    await configure_referrals(db, referrals=[said], keyring=KEYRING)
    mei, han = await town.come("mei"), await town.come("han")
    await town.say(han, mei)
    await town.buy(han, "a")
    return town, mei, han


async def settled(db: AsyncConnection, days: int) -> tuple[int, int]:
    ids = list(await db.scalars(text("SELECT referral_id FROM referral")))
    done: SettledGifts = await settle_gifts(
        db, referral_ids=ids, now=SPRING + days * DAY + timedelta(hours=2), keyring=KEYRING
    )
    assert done.refused == []
    return done.given, done.taken


async def has(db: AsyncConnection, account_id: int) -> tuple[int, int]:
    """The points that an account's member has, and the vouchers that are not voided."""
    row = await db.execute(
        text("""
          SELECT coalesce((SELECT sum(posted) FROM balance b
            WHERE b.member_id = account_holder(:a) AND unit = 1), 0)::int,
          (SELECT count(*) FROM voucher v
            WHERE v.member_id = account_holder(:a) AND state = 0)::int"""),
        {"a": account_id},
    )
    points, vouchers = row.one()
    return points, vouchers


async def sound(db: AsyncConnection) -> None:
    assert [one for one in await verify(db) if one.broken] == []


async def test_it_is_given_when_the_bill_has_stood_its_days_and_once(db: AsyncConnection) -> None:
    _, mei, han = await opened(db)
    due = await db.execute(
        text("SELECT available_at::date FROM outbox_message WHERE actor = :actor"),
        {"actor": SETTLE},
    )
    assert [row[0] for row in due] == [(SPRING + 14 * DAY).date()]
    assert [await settled(db, day) for day in (13, 14, 15)] == [(0, 0), (2, 0), (0, 0)]
    assert (await has(db, mei), await has(db, han)) == ((200, 0), (50, 1))
    issuers = await db.scalars(
        text("SELECT code FROM lot JOIN business b ON b.business_id = issuer_id ORDER BY lot_id")
    )
    assert list(issuers) == ["hotel", "retail"]
    await sound(db)


async def test_what_is_refunded_is_taken_back_and_given_anew(db: AsyncConnection) -> None:
    town, mei, han = await opened(db)
    assert await settled(db, 14) == (2, 0)
    await town.give_back(han, "a", "back", None, SPRING + 15 * DAY)
    assert [await settled(db, day) for day in (15, 16)] == [(0, 2), (0, 0)]
    assert (await has(db, mei), await has(db, han)) == ((0, 0), (0, 0))
    await town.buy(han, "b", 100_00, SPRING + 20 * DAY)
    # The first message, should it come late, is too early for what counts since then.
    assert [await settled(db, day) for day in (21, 34)] == [(0, 0), (2, 0)]
    assert (await has(db, mei), await has(db, han)) == ((200, 0), (50, 1))
    await sound(db)


async def test_another_bill_that_bears_it_moves_no_gift(db: AsyncConnection) -> None:
    town, _, han = await opened(db)
    await town.buy(han, "b", 100_00, SPRING + 2 * DAY)
    await town.give_back(han, "a", "back", None, SPRING + 3 * DAY)
    assert [await settled(db, day) for day in (14, 30)] == [(2, 0), (0, 0)]
    await sound(db)


async def test_one_person_keeps_no_gift_and_two_have_them_again(db: AsyncConnection) -> None:
    town, mei, han = await opened(db)
    assert await settled(db, 14) == (2, 0)
    both = [await town.member(one) for one in (mei, han)]
    at = SPRING + 15 * DAY
    await merge_members(db, member_ids=both, method="staff", actor="ann", now=at)
    assert await settled(db, 15) == (0, 2)
    assert await has(db, mei) == (0, 0)
    await split_members(
        db, member_id=both[0], account_ids=[han], actor="ann", now=at + DAY, reason="two"
    )
    assert [await settled(db, day) for day in (16, 40)] == [(0, 0), (2, 0)]
    assert (await has(db, mei), await has(db, han)) == ((200, 0), (50, 1))
    await sound(db)


async def test_nothing_is_given_to_nobody(db: AsyncConnection) -> None:
    town, mei, han = await opened(db)
    await erase(
        db, member_id=await town.member(han), reason="asked", erased_by="ann",
        forfeit_points=True, today=SPRING.date(), now=SPRING + DAY, keyring=KEYRING,
    )  # fmt: skip
    assert await settled(db, 14) == (1, 0)
    await town.give_back(han, "a", "back", None, SPRING + 15 * DAY)
    assert await has(db, mei) == (200, 0)
    await sound(db)


async def test_what_makes_no_sense_is_refused_by_its_field(db: AsyncConnection) -> None:
    await Town.open(db)
    for gift in ({"points": 5}, {"business": "retail"}, {}):
        with pytest.raises(ValidationError):
            GiftConfig.model_validate(gift)
    for gift, field in (({"voucher": "none"}, "referrer.voucher"),
                        ({"benefit": "none"}, "referrer.benefit")):  # fmt: skip
        said = ReferralConfig(effective_from=SPRING, referrer=GiftConfig.model_validate(gift))
        with pytest.raises(NotFound) as missing:
            await configure_referrals(db, referrals=[said], keyring=KEYRING)
        assert missing.value.facts["field"] == field
    said = terms(effective_from=SPRING, **GIFTS)
    with pytest.raises(NotFound):
        await configure_referrals(db, referrals=[said], keyring=KEYRING)
    with pytest.raises(Conflict) as edited:
        await configure_referrals(
            db, referrals=[terms(referrer=GiftConfig(points=1, business="retail"))],
            keyring=KEYRING,
        )  # fmt: skip
    assert edited.value.field == "gifts"
