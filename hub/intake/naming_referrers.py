"""Naming referrers: a business's system says who brought a new member."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.referrals.refer import ReferralRefused, Source, account_said, refer
from hub.connector import Role
from hub.crypto.keyring import Keyring
from hub.intake.fact import SHOWS_A_PERSON, Fact
from hub.intake.facts import SourceKey
from hub.members.resolve import Resolved

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Named:
    """A fact that says of the member of an account that the one of `referrer` brought them."""

    fact: Fact
    account_id: int
    referrer: int


async def referrers_named(
    db: AsyncConnection,
    *,
    new: Sequence[Fact],
    people: Mapping[SourceKey, Resolved],
    keyring: Keyring,
) -> list[Named]:
    """Return what facts say of who brought whom, as far as the referrer is anybody's account."""
    found = []
    for fact in sorted(new, key=lambda fact: (fact.event.occurred_at, fact.key)):
        who = people.get(fact.key)
        party = fact.event.party(Role.PURCHASER, Role.GUEST)
        if who is None or who.member_id is None or who.account_id is None or party is None:
            continue
        if fact.event.type not in SHOWS_A_PERSON or party.referred_by is None:
            continue
        try:
            referrer = await account_said(
                db,
                said=party.referred_by,
                business_id=fact.wired.business_id,
                keyring=keyring,
            )
        except ReferralRefused as refused:
            _note(fact, refused)
        else:
            found.append(Named(fact, who.account_id, referrer))
    return found


async def name_referrers(db: AsyncConnection, *, named: Sequence[Named], now: datetime) -> set[int]:
    """Keep who referred the members of these facts; returns the referrers whose count changed.

    A system says so with all that it tells of a customer, for years: what is refused is no fault of
    the fact, which stands.
    """
    changed: set[int] = set()
    for one in named:
        try:
            changed |= await refer(
                db,
                account_id=one.account_id,
                referrer=one.referrer,
                source=Source.SYSTEM,
                said_at=one.fact.event.occurred_at,
                now=now,
            )
        except ReferralRefused as refused:
            _note(one.fact, refused)
    return changed


def _note(fact: Fact, refused: ReferralRefused) -> None:
    log.info(
        "referral_refused",
        connection=fact.wired.code,
        fact=fact.event.fact.id,
        reason=refused.reason.value,
    )
