"""Award a tier: by hand, or because a partner's status is as good."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.tiers.awards import TierAward, award_by_key
from hub.benefits.tiers.configure import Asks
from hub.benefits.tiers.promote import promote
from hub.clock import business_date
from hub.errors import Malformed, NotFound
from hub.points.answers import key_used
from hub.points.checks import LONGEST_REASON, key, named, reasoned

LONGEST_YEARS = 10

_KEEP = text("""
INSERT INTO tier_award (member_id, tier_id, kind, reason, partner, evidence, starts_on, trial_until,
  challenge, valid_until, given_by, given_at, idempotency_key)
SELECT :member_id, tier_id, CASE WHEN CAST(:partner AS text) IS NULL THEN 'granted' ELSE 'matched'
    END, :reason, :partner, :evidence, :today, :trial_until, :challenge, :valid_until, :given_by,
  :now, :key
FROM tier WHERE code = :tier
ON CONFLICT (idempotency_key) DO NOTHING RETURNING award_id
""")


async def award_tier(
    db: AsyncConnection,
    *,
    member_id: int,
    tier: str,
    valid_until: date,
    reason: str,
    given_by: str,
    idempotency_key: str,
    now: datetime,
    time_zone: str,
    partner: str | None = None,
    evidence: str | None = None,
    trial_until: date | None = None,
    challenge: Asks | None = None,
) -> TierAward:
    """Give `tier` until `valid_until`, at once; a higher one that is held stays.

    With a `partner` it is a match, on `evidence` of the status there (not a number of it). With a
    `trial_until` it ends there, unless all of `challenge` is done from today until then. The same
    key returns the award as it now is. Raises NotFound for an unknown member or tier, Malformed,
    naming the field, for what makes no sense, Conflict when the key was used for another award.
    """
    key(idempotency_key)
    reasoned(reason)
    named(given_by, field="given_by")
    today = business_date(now, time_zone)
    asks = _challenge(trial_until, challenge)
    _sensible(today, valid_until, trial_until, partner, evidence)
    known = await db.scalar(
        text("SELECT merged_into IS NULL FROM member WHERE member_id = :m FOR SHARE"),
        {"m": member_id},
    )
    if not known:
        raise NotFound(f"there is no member {member_id}", field="member_id")
    asked = {
        "tier": tier,
        "valid_until": valid_until,
        "reason": reason,
        "partner": partner,
        "evidence": evidence,
        "trial_until": trial_until,
        "challenge": asks,
        "given_by": given_by,
    }
    made = await db.scalar(
        _KEEP,
        {**asked, "member_id": member_id, "today": today, "now": now, "key": idempotency_key},
    )
    award = await award_by_key(db, idempotency_key=idempotency_key)
    if award is None:
        raise NotFound(f"there is no tier {tier!r}", field="tier")
    if made is None:
        await _same(db, award, member_id, asked)
        return award
    await promote(db, member_ids=[member_id], now=now, time_zone=time_zone)
    return award


def _challenge(trial_until: date | None, challenge: Asks | None) -> Sequence[int | None] | None:
    asks = challenge.packed() if challenge is not None else None
    if asks is not None and not any(asks):
        raise Malformed("a challenge asks for something", field="challenge")
    if (asks is None) != (trial_until is None):
        field = "trial_until" if trial_until is None else "challenge"
        raise Malformed("a trial has an end and a challenge: say both or neither", field=field)
    return asks


def _sensible(
    today: date,
    valid_until: date,
    trial_until: date | None,
    partner: str | None,
    evidence: str | None,
) -> None:
    if not today <= valid_until <= today.replace(year=today.year + LONGEST_YEARS, day=1):
        raise Malformed(
            f"a tier is given for some time, from today on and up to {LONGEST_YEARS} years",
            field="valid_until",
        )
    if trial_until is not None and not today <= trial_until < valid_until:
        raise Malformed("a trial ends before what it is a trial of", field="trial_until")
    if (partner is None) != (evidence is None):
        field = "partner" if partner is None else "evidence"
        raise Malformed("a match names the partner and what was seen of the status", field=field)
    if partner is not None:
        named(partner, field="partner")
    if evidence is not None and not (
        1 <= len(evidence.strip()) <= LONGEST_REASON and evidence.isprintable()
    ):
        raise Malformed(
            f"evidence has 1 to {LONGEST_REASON} printable characters", field="evidence"
        )


async def _same(
    db: AsyncConnection, award: TierAward, member_id: int, asked: dict[str, object]
) -> None:
    now_is = await db.scalar(
        text("SELECT coalesce(merged_into, member_id) FROM member WHERE member_id = :m"),
        {"m": award.member_id},
    )
    if now_is != member_id:
        raise key_used("member_id", now_is)
    for field, value in asked.items():
        stored = getattr(award, field)
        if stored != value:
            raise key_used(field, stored)
