"""Reads of referrals: whom members brought, and what came of it."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.members.masking import masked


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """A referral; `state` is what became of it by now. `name` is the referred one's, masked.

    The rest is what the referrer has for it: all None before it is given, and when it was taken.
    """

    referral_id: int
    said_at: datetime
    ends_at: datetime
    state: str
    counted_on: date | None
    points: int | None
    voucher_id: int | None
    benefit: str | None
    given_at: datetime | None
    name: str | None = None


# A member's referrals are those of its accounts.
_REFERRALS = text("""
SELECT r.referral_id, r.said_at, r.ends_at, r.counted_on, g.points, g.voucher_id, g.given_at,
  (SELECT b.code FROM entitlement e JOIN benefit b USING (benefit_id)
    WHERE e.entitlement_id = g.entitlement_id) AS benefit,
  CASE WHEN r.outcome <> 'waiting' THEN r.outcome WHEN r.turns > 0 THEN 'taken_back'
    WHEN r.ends_at <= :now THEN 'lapsed' ELSE 'waiting' END AS state
FROM member m
JOIN account_link l ON l.member_id = m.member_id AND upper_inf(l.valid)
JOIN referral r ON r.referrer_account_id = l.account_id
LEFT JOIN referral_gift g ON g.referral_id = r.referral_id AND g.side = 'referrer'
  AND g.taken_at IS NULL
WHERE (m.member_id = :member_id OR m.merged_into = :member_id)
  AND (CAST(:before_id AS bigint) IS NULL OR r.referral_id < :before_id)
ORDER BY r.referral_id DESC LIMIT :limit
""")
_NAMES = text("SELECT * FROM referred_names(CAST(:ids AS bigint[]))")
_OPEN = text("""
SELECT is_open FROM referral_terms WHERE effective_from <= :now
ORDER BY effective_from DESC LIMIT 1
""")


async def referrals_of(
    db: AsyncConnection,
    *,
    member_id: int,
    now: datetime,
    keyring: Keyring,
    before_id: int | None,
    limit: int,
) -> list[Referral]:
    """Return a member's referrals, the newest first; read as the member or as staff."""
    page = {"member_id": member_id, "now": now, "before_id": before_id, "limit": limit}
    rows = (await db.execute(_REFERRALS, page)).all()
    names = {}
    for row in await db.execute(_NAMES, {"ids": [row.referral_id for row in rows]}):
        key = fields.unwrap(keyring, row.wrapped, account_id=row.account_id)
        place = {"table": "account_profile", "column": "name", "row": str(row.account_id)}
        names[row.referral_id] = masked(HintType.NAME, key.decrypt(row.ciphertext, **place))
    return [Referral(**row._asdict(), name=names.get(row.referral_id)) for row in rows]


async def takes_referrals(db: AsyncConnection, *, now: datetime) -> bool:
    """Return whether new members may say now who referred them."""
    return bool(await db.scalar(_OPEN, {"now": now}))
