"""Settle gifts: both sides of a referral have what is given for it while it counts, and no more."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.grant_entitlement import grant_entitlement
from hub.benefits.entitlements.revoke import revoke
from hub.benefits.referrals.judge_referrals import SETTLE, lock_referrers_of
from hub.benefits.vouchers.assign_voucher import assign_voucher
from hub.benefits.vouchers.claim import lock_vouchers
from hub.benefits.vouchers.queries import vouchers_by_id
from hub.benefits.vouchers.void import void_voucher
from hub.clock import business_date
from hub.crypto.keyring import Keyring
from hub.errors import HubError
from hub.ledger.post import lock_balances, post_clawback, post_earns
from hub.outbox.messages import put
from hub.points.bonus import bonus
from hub.programme.queries import Business, Terms, businesses, programme, terms

_ACTOR = "referral"
_WHY = "the referral counts no more"
_TRIED_FOR = timedelta(days=30)

# The members whose accounts these are, kept as they are until the end; none for one who is erased.
_PEOPLE = text("""
SELECT m.member_id FROM member m WHERE m.erased_at IS NULL AND m.merged_into IS NULL
  AND m.member_id IN (
    SELECT account_holder(unnest(ARRAY[r.referrer_account_id, r.referred_account_id]))
    FROM referral r WHERE r.referral_id = ANY (CAST(:ids AS bigint[])))
ORDER BY m.member_id FOR SHARE
""")
_REFERRALS = text("""
SELECT r.referral_id, r.outcome, r.turned_at, t.gifts, t.give_after_days,
  jsonb_build_object('referrer', r.referrer_account_id, 'referred', r.referred_account_id)
    AS accounts,
  jsonb_build_object('referrer', account_holder(r.referrer_account_id),
    'referred', account_holder(r.referred_account_id)) AS holders,
  coalesce((SELECT max(number) FROM referral_gift g WHERE g.referral_id = r.referral_id), 0) AS last
FROM referral r JOIN referral_terms t ON t.effective_from = r.terms_from
WHERE r.referral_id = ANY (CAST(:ids AS bigint[])) ORDER BY r.referral_id
""")
_OPEN = text("""
SELECT *, account_holder(account_id) AS holder FROM referral_gift
WHERE referral_id = ANY (CAST(:ids AS bigint[])) AND taken_at IS NULL
ORDER BY referral_id, side
""")
_KEEP = text("""
INSERT INTO referral_gift (referral_id, number, side, account_id, points, business_id, tx_id,
  voucher_id, entitlement_id, given_at)
VALUES (:referral_id, :number, :side, :account_id, :points, :business_id, :tx_id, :voucher_id,
  :entitlement_id, :now)
""")
_TAKEN = text("""
UPDATE referral_gift SET taken_at = :now
WHERE referral_id = :referral_id AND side = :side AND number = :number
""")


@dataclass(slots=True)
class SettledGifts:
    """How many gifts were given and taken back, and why others were not given."""

    given: int = 0
    taken: int = 0
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """What every gift asks of the group."""

    in_force: Terms
    shops: dict[str, Business]
    time_zone: str
    now: datetime
    keyring: Keyring

    def day(self, shop: Business) -> Any:
        """Return the trading day of a business."""
        return business_date(self.now, shop.time_zone, day_starts_at_hour=shop.day_starts_at_hour)


async def settle_gifts(
    db: AsyncConnection, *, referral_ids: Sequence[int], now: datetime, keyring: Keyring
) -> SettledGifts:
    """Give both sides of these referrals what is due to them, or take it back.

    A referral that has counted for its terms' days brings each side its gift, all of it or nothing.
    Of one that counts no more points are taken back as far as they are there, and vouchers and
    benefits as far as nobody used them. What cannot be given (a campaign that is over) is asked for
    anew each day for a month. Doing it again moves nothing. Call it first in a transaction: people
    and balances are locked before referrals.
    """
    ids = sorted(set(referral_ids))
    members = list(await db.scalars(_PEOPLE, {"ids": ids}))
    await lock_balances(db, member_ids=members)
    await lock_referrers_of(db, referral_ids=ids)
    opened = (await db.execute(_OPEN, {"ids": ids})).all()
    await lock_vouchers(db, voucher_ids=[g.voucher_id for g in opened if g.voucher_id is not None])
    shops = {one.code: one for one in await businesses(db)}
    group = _Group(
        in_force=await terms(db), shops=shops, time_zone=(await programme(db)).time_zone, now=now,
        keyring=keyring,
    )  # fmt: skip
    done = SettledGifts()
    for row in (await db.execute(_REFERRALS, {"ids": ids})).all():
        had = [gift for gift in opened if gift.referral_id == row.referral_id]
        if row.outcome == "counted":
            sides = {gift.side for gift in had}
            missing = [one for one in row.gifts if one["side"] not in sides]
            here = [one for one in missing if row.holders[one["side"]] in members]
            await _give_all(db, group, row, here, done)
            continue
        for gift in had:
            await _take(db, group, gift)
            done.taken += 1
    return done


async def _give_all(
    db: AsyncConnection,
    group: _Group,
    row: Row[Any],
    gifts: Sequence[dict[str, Any]],
    done: SettledGifts,
) -> None:
    due = row.turned_at + timedelta(days=row.give_after_days)
    if group.now < due:
        return
    given = [await _tried(db, group, row, one, done) for one in gifts]
    if not all(given) and group.now < due + _TRIED_FOR:
        later = group.now + timedelta(days=1)
        await put(db, actor=SETTLE, references=[row.referral_id], available_at=later)


async def _tried(
    db: AsyncConnection, group: _Group, row: Row[Any], gift: dict[str, Any], done: SettledGifts
) -> bool:
    try:
        async with db.begin_nested():
            await _give(db, group, row, gift)
    except HubError as why:
        if why.retryable:
            raise
        done.refused.append(why.message)
        return False
    done.given += 1
    return True


async def _give(db: AsyncConnection, group: _Group, row: Row[Any], gift: dict[str, Any]) -> None:
    side, number = gift["side"], row.last + 1
    member_id, account_id = row.holders[side], row.accounts[side]
    key = f"{row.referral_id}:{side}:{number}"
    kept: dict[str, Any] = dict.fromkeys(
        ("points", "business_id", "tx_id", "voucher_id", "entitlement_id")
    )
    if gift["points"] is not None:
        shop = group.shops[gift["business"]]
        earn = bonus(
            group.in_force,
            issuer_id=shop.business_id,
            member_id=member_id,
            account_id=account_id,
            points=gift["points"],
            idempotency_key=f"referral:{key}",
            business_date=group.day(shop),
            now=group.now,
        )
        (tx_id,) = (await post_earns(db, [earn])).values()
        kept |= {"points": gift["points"], "business_id": shop.business_id, "tx_id": tx_id}
    if gift["benefit"] is not None:
        today = business_date(group.now, group.time_zone)
        granted = await grant_entitlement(
            db,
            member_id=member_id,
            benefit_code=gift["benefit"],
            quantity=gift["uses"],
            source="campaign",
            source_id=f"referral:{key}",
            starts_on=today,
            ends_on=today + timedelta(days=gift["valid_days"]),
            now=group.now,
        )
        kept["entitlement_id"] = granted.entitlement_id
    if gift["voucher"] is not None:
        voucher = await assign_voucher(
            db,
            campaign_code=gift["voucher"],
            member_id=member_id,
            source="referral",
            source_id=key,
            now=group.now,
            keyring=group.keyring,
            actor=_ACTOR,
        )
        kept["voucher_id"] = voucher.voucher_id
    which = {"referral_id": row.referral_id, "number": number, "side": side}
    await db.execute(_KEEP, {**which, **kept, "account_id": account_id, "now": group.now})


async def _take(db: AsyncConnection, group: _Group, gift: Row[Any]) -> None:
    """Take back what is there of a gift; of one who was erased nothing is."""
    if gift.tx_id is not None and gift.holder is not None:
        [shop] = [one for one in group.shops.values() if one.business_id == gift.business_id]
        await post_clawback(
            db,
            business_id=shop.business_id,
            idempotency_key=f"referral:{gift.referral_id}:{gift.side}:{gift.number}:back",
            member_id=gift.holder,
            account_id=gift.account_id,
            earn_tx=gift.tx_id,
            points=gift.points,
            qualifying=0,
            occurred_at=group.now,
            business_date=group.day(shop),
            now=group.now,
        )
    if gift.entitlement_id is not None:
        await revoke(
            db, entitlement_id=gift.entitlement_id, reason=_WHY, actor=_ACTOR, now=group.now
        )
    if gift.voucher_id is not None:
        found = await vouchers_by_id(db, voucher_ids=[gift.voucher_id], now=group.now)
        voucher = found[gift.voucher_id]
        if voucher.used == 0 and voucher.held == 0:
            await void_voucher(
                db, voucher_id=gift.voucher_id, actor=_ACTOR, reason=_WHY, now=group.now
            )
    which = {"referral_id": gift.referral_id, "side": gift.side, "number": gift.number}
    await db.execute(_TAKEN, {**which, "now": group.now})
