"""Refer: a new member says who referred them, once."""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.referrals.codes import ReferralKey
from hub.benefits.referrals.judge_referrals import judged_anew, lock_naming
from hub.benefits.vouchers.key import known_key
from hub.crypto.keyring import Keyring
from hub.errors import Malformed, Rejected


class Refusal(StrEnum):
    """Why a referral is not taken."""

    NOT_OFFERED = "not_offered"
    UNKNOWN = "unknown"
    ONESELF = "oneself"
    NOT_NEW = "not_new"
    REFERRED_BEFORE = "referred_before"
    IN_A_CIRCLE = "in_a_circle"


_WORDS = {
    Refusal.NOT_OFFERED: "this group takes no referrals now",
    Refusal.UNKNOWN: "this referral code is nobody's: type it once more",
    Refusal.ONESELF: "nobody refers themselves",
    Refusal.NOT_NEW: "only who is new, and has bought nothing before, is referred by somebody",
    Refusal.REFERRED_BEFORE: "the member has said before who referred them: that stays",
    Refusal.IN_A_CIRCLE: "the referrer was brought, directly or not, by this member",
}


class ReferralRefused(Rejected):
    """The referral is not taken; `reason` says why. Nothing is stored."""

    code = "referral_refused"

    def __init__(self, reason: Refusal) -> None:
        super().__init__(_WORDS[reason], reason=reason.value)
        self.reason = reason


class Source(StrEnum):
    """Who said it."""

    MEMBER = "member"
    TILL = "till"
    SYSTEM = "system"


_TERMS = text("""
SELECT effective_from, buy_within_days, is_open FROM referral_terms
WHERE effective_from <= :at ORDER BY effective_from DESC LIMIT 1
""")
_ACCOUNT = text("""
SELECT l.account_id FROM account_link l JOIN account_key k USING (account_id)
WHERE l.member_id = :member_id AND upper_inf(l.valid) ORDER BY 1 LIMIT 1
""")
_OWN_ACCOUNT = text("""
SELECT l.account_id FROM member m
JOIN account_link l ON l.member_id = m.member_id AND upper_inf(l.valid)
JOIN account_key k USING (account_id)
WHERE m.member_id = :member_id OR m.merged_into = :member_id ORDER BY 1 LIMIT 1
""")
_CUSTOMER = text("""
SELECT a.account_id FROM account a JOIN account_key k USING (account_id)
WHERE a.business_id = :business_id AND a.external_id = :external_id AND NOT a.walk_in
""")
_EARLIER = text("""
SELECT r.referrer_account_id FROM member m
JOIN account_link l ON l.member_id = m.member_id AND upper_inf(l.valid)
JOIN referral r ON r.referred_account_id = l.account_id
WHERE coalesce(m.merged_into, m.member_id) = account_holder(:account_id)
ORDER BY r.referral_id LIMIT 1
""")
# Whoever brought the referrer, and whoever brought them.
_CIRCLE = text("""
WITH RECURSIVE above AS (
  SELECT account_holder(:referrer) AS member_id
  UNION
  SELECT account_holder(r.referrer_account_id) FROM above
  JOIN member m ON m.member_id = above.member_id OR m.merged_into = above.member_id
  JOIN account_link l ON l.member_id = m.member_id AND upper_inf(l.valid)
  JOIN referral r ON r.referred_account_id = l.account_id
)
SELECT EXISTS (SELECT FROM above WHERE member_id = account_holder(:referred))
""")
_SAY = text("""
INSERT INTO referral (referrer_account_id, referred_account_id, said_at, ends_at, terms_from,
  source)
VALUES (:referrer, :referred, :said_at, :ends_at, :terms_from, :source)
RETURNING referral_id
""")
_REFUSED = {
    "same_person": Refusal.ONESELF,
    "known_before": Refusal.NOT_NEW,
    "referred_before": Refusal.REFERRED_BEFORE,
}


async def account_of_code(db: AsyncConnection, *, typed: str, keyring: Keyring) -> int:
    """Return the account of whoever's referral code was typed.

    Raises Malformed, naming `referralCode`, for what is no code; ReferralRefused for nobody's.
    """
    key = await known_key(db, keyring=keyring)
    member_id = None if key is None else ReferralKey(key).member_id(typed)
    account_id = None
    if member_id is not None:
        account_id = await db.scalar(_ACCOUNT, {"member_id": member_id})
    if account_id is None:
        raise ReferralRefused(Refusal.UNKNOWN)
    return int(account_id)


async def account_said(
    db: AsyncConnection, *, said: str, business_id: int, keyring: Keyring
) -> int:
    """Return the account that a business's system names: by a code, or by its own customer's id.

    Raises ReferralRefused for nobody's.
    """
    customer = {"business_id": business_id, "external_id": said}
    account_id = await db.scalar(_CUSTOMER, customer)
    if account_id is not None:
        return int(account_id)
    try:
        return await account_of_code(db, typed=said, keyring=keyring)
    except Malformed:
        raise ReferralRefused(Refusal.UNKNOWN) from None


async def own_account(db: AsyncConnection, *, member_id: int) -> int | None:
    """Return the oldest account that a member has; None for one who has nothing left."""
    account_id: int | None = await db.scalar(_OWN_ACCOUNT, {"member_id": member_id})
    return account_id


async def refer(
    db: AsyncConnection,
    *,
    account_id: int,
    referrer: int,
    source: Source,
    said_at: datetime,
    now: datetime,
) -> set[int]:
    """Keep that the member of an account was referred by the one of the account `referrer`.

    The terms are those of `said_at`. Said again it changes nothing. Bills that have come already
    count as well; returns the members whose count has changed, to be promoted. Raises
    ReferralRefused. It comes before the locks on tiers.
    """
    terms = (await db.execute(_TERMS, {"at": said_at})).one_or_none()
    if terms is None or not terms.is_open:
        raise ReferralRefused(Refusal.NOT_OFFERED)
    await lock_naming(db)
    earlier = await db.scalar(_EARLIER, {"account_id": account_id})
    if earlier is not None:
        if earlier == referrer:
            return set()
        raise ReferralRefused(Refusal.REFERRED_BEFORE)
    both = {"referrer": referrer, "referred": account_id}
    if referrer == account_id:
        raise ReferralRefused(Refusal.ONESELF)
    async with db.begin_nested():
        referral_id = await db.scalar(
            _SAY,
            {
                **both,
                "said_at": said_at,
                "ends_at": said_at + timedelta(days=terms.buy_within_days),
                "terms_from": terms.effective_from,
                "source": source,
            },
        )
        changed = await judged_anew(db, referral_ids=[int(referral_id or 0)], now=now)
        outcome = await db.scalar(
            text("SELECT outcome FROM referral WHERE referral_id = :id"), {"id": referral_id}
        )
        if outcome in _REFUSED:
            raise ReferralRefused(_REFUSED[outcome])
        if await db.scalar(_CIRCLE, both):
            raise ReferralRefused(Refusal.IN_A_CIRCLE)
    return changed
