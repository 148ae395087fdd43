"""Give: what an occasion gives to the members whose day it is, once in a year of its calendar."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.grant_entitlement import grant_entitlement
from hub.benefits.occasions.calendar import Falling, OccasionTerms, due, falling
from hub.benefits.occasions.candidates import Candidate, candidates, locked
from hub.benefits.vouchers.assign_voucher import VoucherLimitReached, assign_voucher
from hub.clock import business_date
from hub.crypto.keyring import Keyring
from hub.errors import HubError
from hub.ledger.post import lock_balances, post_earns
from hub.members.display import display
from hub.points.bonus import bonus
from hub.programme.queries import businesses, terms

CHUNK_MEMBERS = 200

_GIVEN = text("""
INSERT INTO occasion_grant (member_id, occasion_id, year, account_id, terms_from, points, tx_id,
  voucher_id, entitlement_id, given_at)
VALUES (:member_id, :occasion_id, :year, :account_id, :terms_from, :points, :tx_id, :voucher_id,
  :entitlement_id, :now)
""")


@dataclass(slots=True)
class Gift:
    """An occasion that is due to a member: to which account, and what came of it."""

    whom: Candidate
    due: Falling
    account_id: int
    birth_id: int
    voucher_id: int | None = None
    entitlement_id: int | None = None

    @property
    def key(self) -> str:
        """The gift's own name: of a birth, an occasion and a year there is one."""
        return f"{self.due.terms.occasion_id}:{self.birth_id}:{self.due.year}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenChunk:
    """How many of a chunk were given something, why others were not, and where to go on."""

    given: int
    refused: list[str] = field(default_factory=list)
    last_member_id: int | None = None


async def give_occasions(
    db: AsyncConnection,
    *,
    versions: Sequence[OccasionTerms],
    now: datetime,
    keyring: Keyring,
    after_member_id: int = 0,
    members: int = CHUNK_MEMBERS,
) -> GivenChunk:
    """Give what the occasion of these `versions` gives to the next members to whom it is due.

    Days are those of a member's own zone. Points are an earn of their issuer's. Who cannot be given
    it (the campaign is over) is left for the next time. Raises Rejected where the issuer has no
    rule or the group no expiry policy.
    """
    occasion_id = versions[0].occasion_id
    zones = {one.time_zone for one in await businesses(db)}
    days = sorted(business_date(now, zone) for zone in zones)
    possible = falling(versions, first=days[0], last=days[-1])
    if not possible:
        return GivenChunk(given=0)
    # One at a time: whoever comes second sees whom the first one gave it.
    await db.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('occasion/' || :id, 0))"),
        {"id": str(occasion_id)},
    )
    first_year = await db.scalar(text("SELECT min(created_at) FROM member"))
    found = await candidates(
        db,
        possible=possible,
        first_year=now.year if first_year is None else first_year.year - 1,
        after=after_member_id,
        members=members,
        keyring=keyring,
    )
    if not found:
        return GivenChunk(given=0)
    whom = await locked(db, occasion_id=occasion_id, member_ids=found)
    gifts = await _due(db, whom, possible, now=now, keyring=keyring)
    refused = await _give(db, gifts, now=now, keyring=keyring) if gifts else []
    return GivenChunk(given=len(gifts) - len(refused), refused=refused, last_member_id=found[-1])


async def _due(
    db: AsyncConnection,
    whom: Sequence[Candidate],
    possible: Sequence[Falling],
    *,
    now: datetime,
    keyring: Keyring,
) -> list[Gift]:
    """Return what is due, by the birthday that is shown: the index also has others' words."""
    if possible[0].terms.kind == "birthday":
        ids = [one.member_id for one in whom]
        views = await display(db, member_ids=ids, now=now, keyring=keyring)
        days = {who: view.birthday.value for who, view in views.items() if view.birthday}
    else:
        days = {
            one.member_id: f"{one.joined_at.astimezone(ZoneInfo(one.time_zone)):%Y-%m-%d}"
            for one in whom
        }
    gifts = []
    for one in whom:
        found = due(
            (each for each in possible if each.year not in one.given),
            whose=days.get(one.member_id),
            joined_at=one.joined_at,
            time_zone=one.time_zone,
            now=now,
        )
        if found is not None:
            gifts.append(Gift(one, found, *one.account_at(found.terms.business_id)))
    return gifts


async def _give(
    db: AsyncConnection, gifts: Sequence[Gift], *, now: datetime, keyring: Keyring
) -> list[str]:
    """Give the gifts and keep that they were given; returns why some were not."""
    if any(gift.due.terms.points is not None for gift in gifts):
        await lock_balances(db, member_ids=[gift.whom.member_id for gift in gifts])
    given, refused = [], []
    for gift in gifts:
        why = await _beside_points(db, gift, now=now, keyring=keyring)
        if why is None:
            given.append(gift)
        else:
            refused.append(why)
    posted = await _points(db, given, now=now)
    rows = [
        {
            "member_id": gift.birth_id,
            "occasion_id": gift.due.terms.occasion_id,
            "year": gift.due.year,
            "account_id": gift.account_id,
            "terms_from": gift.due.terms.effective_from,
            "points": gift.due.terms.points,
            "tx_id": posted.get(gift.key),
            "voucher_id": gift.voucher_id,
            "entitlement_id": gift.entitlement_id,
            "now": now,
        }
        for gift in given
    ]
    if rows:
        await db.execute(_GIVEN, rows)
    return refused


async def _beside_points(
    db: AsyncConnection, gift: Gift, *, now: datetime, keyring: Keyring
) -> str | None:
    """Give the gift's voucher and benefit; returns why it cannot be given, and then gives none."""
    if gift.due.terms.campaign is None and gift.due.terms.benefit is None:
        return None
    try:
        async with db.begin_nested():
            await _voucher(db, gift, now=now, keyring=keyring)
            await _entitlement(db, gift, now=now)
    except HubError as why:
        if why.retryable:
            raise
        return why.message
    return None


async def _voucher(db: AsyncConnection, gift: Gift, *, now: datetime, keyring: Keyring) -> None:
    """Assign the voucher. Who has as many as the campaign gives one is still given the rest."""
    terms = gift.due.terms
    if terms.campaign is None:
        return
    try:
        voucher = await assign_voucher(
            db,
            campaign_code=terms.campaign,
            member_id=gift.whom.member_id,
            source="occasion",
            source_id=gift.key,
            now=now,
            keyring=keyring,
        )
    except VoucherLimitReached:
        if terms.points is None and terms.benefit is None:
            raise
        return
    gift.voucher_id = voucher.voucher_id


async def _entitlement(db: AsyncConnection, gift: Gift, *, now: datetime) -> None:
    terms = gift.due.terms
    if terms.benefit is None:
        return
    granted = await grant_entitlement(
        db,
        member_id=gift.whom.member_id,
        benefit_code=terms.benefit,
        quantity=terms.uses,
        source="occasion",
        source_id=gift.key,
        starts_on=gift.due.day,
        ends_on=gift.due.on + timedelta(days=terms.valid_days),
        now=now,
    )
    gift.entitlement_id = granted.entitlement_id


async def _points(db: AsyncConnection, gifts: Sequence[Gift], *, now: datetime) -> dict[str, int]:
    """Issue the gifts' points; returns the transactions by the gifts' keys."""
    worth = [gift for gift in gifts if gift.due.terms.points is not None]
    if not worth:
        return {}
    in_force = await terms(db)
    shops = {one.business_id: one for one in await businesses(db)}
    requests = []
    for gift in worth:
        shop = shops[gift.due.terms.business_id or 0]
        request = bonus(
            in_force,
            issuer_id=shop.business_id,
            member_id=gift.whom.member_id,
            account_id=gift.account_id,
            points=gift.due.terms.points or 0,
            idempotency_key=f"occasion:{gift.key}",
            business_date=business_date(
                now, shop.time_zone, day_starts_at_hour=shop.day_starts_at_hour
            ),
            now=now,
        )
        requests.append(request)
    posted = await post_earns(db, requests)
    return {key.removeprefix("occasion:"): tx_id for (_, key), tx_id in posted.items()}
