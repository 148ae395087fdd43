"""Reads of referrals: whom members brought, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.db.keyset import Column, Keyset, Stretch, page_of
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


_STATE = """CASE WHEN r.outcome <> 'waiting' THEN r.outcome WHEN r.turns > 0 THEN 'taken_back'
    WHEN r.ends_at <= :now THEN 'lapsed' ELSE 'waiting' END"""
# A member's referrals are those of its accounts.
_REFERRALS = f"""
SELECT of.id AS of_member, r.referral_id, r.said_at, r.ends_at, r.counted_on, g.points,
  g.voucher_id, g.given_at, (SELECT b.code FROM entitlement e JOIN benefit b USING (benefit_id)
    WHERE e.entitlement_id = g.entitlement_id) AS benefit,
  {_STATE} AS state
FROM member m
JOIN account_link l ON l.member_id = m.member_id AND upper_inf(l.valid)
JOIN referral r ON r.referrer_account_id = l.account_id
LEFT JOIN referral_gift g ON g.referral_id = r.referral_id AND g.side = 'referrer'
  AND g.taken_at IS NULL
"""  # noqa: S608 - a constant of ours
REFERRALS = Keyset(
    (Column("referral_id", int, "r.referral_id"),),
    descending=True,
    where="(m.member_id = of.id OR m.merged_into = of.id)",
)
"""The newest first."""


class ReferralFilter(NamedTuple):
    """Which referrals: those in these states, said when; those for which something `given` is."""

    states: tuple[str, ...] | None = None
    said_from: datetime | None = None
    said_before: datetime | None = None
    given: bool | None = None


_FILTERS = {
    "states": f"{_STATE} = ANY (CAST(:states AS text[]))",
    "said_from": "r.said_at >= :said_from",
    "said_before": "r.said_at < :said_before",
    "given": "(g.given_at IS NOT NULL) = :given",
}
_NAMES = text("SELECT * FROM referred_names(CAST(:ids AS bigint[]))")
_OPEN = text("""
SELECT is_open FROM referral_terms WHERE effective_from <= :now
ORDER BY effective_from DESC LIMIT 1
""")


async def referrals_of(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    now: datetime,
    keyring: Keyring,
    stretch: Stretch,
    only: ReferralFilter,
) -> dict[int, list[Referral]]:
    """Return each member's referrals, by REFERRALS; read as the member or as staff."""
    ending, facts = page_of(REFERRALS, stretch, only=only._asdict(), filters=_FILTERS)
    query = f"""
      SELECT p.* FROM unnest(CAST(:member_ids AS bigint[])) AS of (id)
      CROSS JOIN LATERAL ({_REFERRALS} {ending}) p"""  # noqa: S608 - constants of ours
    page = {"member_ids": list(member_ids), "now": now}
    rows = (await db.execute(text(query), page | facts)).all()
    names = {}
    for row in await db.execute(_NAMES, {"ids": [row.referral_id for row in rows]}):
        key = fields.unwrap(keyring, row.wrapped, account_id=row.account_id)
        place = {"table": "account_profile", "column": "name", "row": str(row.account_id)}
        names[row.referral_id] = masked(HintType.NAME, key.decrypt(row.ciphertext, **place))
    found: dict[int, list[Referral]] = {member_id: [] for member_id in member_ids}
    for row in rows:
        facts = row._asdict()
        of = found[facts.pop("of_member")]
        of.append(Referral(**facts, name=names.get(row.referral_id)))
    return found


async def takes_referrals(db: AsyncConnection, *, now: datetime) -> bool:
    """Return whether new members may say now who referred them."""
    return bool(await db.scalar(_OPEN, {"now": now}))
