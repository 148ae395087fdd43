"""Resolve in real time: who, in the whole group, is the person that a business has just seen?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Hint, HintType, is_text
from hub.crypto.keyring import Keyring
from hub.errors import Malformed
from hub.members.identifiers import read
from hub.members.people import HUB_PREFIX, Changes, Outcome, Seen
from hub.members.recording import record
from hub.members.ruling import Ruling, rule
from hub.members.standing import lock_and_read


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A person as one business shows them at one instant.

    `external_id` is the business's own id for them, if it has one. `country` (ISO 3166) is where
    phone numbers without a country code are read; None: the business's own.
    """

    business_id: int
    external_id: str | None
    hints: tuple[Hint, ...] = ()
    seen_at: datetime
    country: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Who a sighting is: the member, and the account on which they acted. None: anonymous."""

    member_id: int | None
    account_id: int | None
    outcome: Outcome


async def resolve(
    db: AsyncConnection, *, people: Sequence[Sighting], now: datetime, keyring: Keyring
) -> list[Resolved]:
    """Resolve sightings to members, one answer each, in their order; a batch costs few statements.

    The rules are `hub.members.ruling`'s. An account that is known keeps its member; its profile
    and identifiers are brought up to date. Someone with a verified identifier but no external id
    acts on their account at the business or, having none, on a walk-in account that the hub keeps
    there (external id `hub:member:<id>`), since every ledger entry names an account. Without
    either they are anonymous: nothing is stored, both ids are None.

    Safe against any number of concurrent callers: the accounts and identifiers are locked until
    the transaction ends. Call it once per transaction: a second call could wait for someone who
    waits for the first. `now` dates what is written, a sighting's `seen_at` what was observed.

    Raises Malformed for an external id that is empty, too long, no text or begins with `hub:`.
    """
    countries = await _countries(db, people)
    seen = [
        Seen(
            one.business_id,
            None if one.external_id is None else check_external_id(one.external_id),
            one.seen_at,
            read(one.hints, keyring=keyring, region=one.country or countries.get(one.business_id)),
        )
        for one in people
    ]
    if not any(one.external_id or one.reading.verified for one in seen):
        return [_answer(Ruling(None, Outcome.ANONYMOUS)) for _ in seen]
    standing = await lock_and_read(db, seen=seen, keyring=keyring)
    changes = Changes()
    rulings = [rule(standing, changes, one) for one in seen]
    await record(db, changes=changes, now=now, keyring=keyring)
    return [_answer(ruling) for ruling in rulings]


def check_external_id(external_id: str) -> str:
    """Return a business's own id for a customer; raises Malformed when it cannot be one."""
    unfit = not 1 <= len(external_id) <= 200 or not is_text(external_id)
    if unfit or external_id.startswith(HUB_PREFIX):
        raise Malformed(f"{external_id[:40]!r} cannot be a customer's id", field="external_id")
    return external_id


async def _countries(db: AsyncConnection, people: Sequence[Sighting]) -> dict[int, str]:
    """Look up where businesses are, if a phone number cannot be read without."""
    wanted = {
        one.business_id
        for one in people
        if one.country is None
        and any(
            h.type is HintType.PHONE and not h.value.lstrip().startswith("+") for h in one.hints
        )
    }
    if not wanted:
        return {}
    found = await db.execute(
        text("SELECT business_id, country FROM business WHERE business_id = ANY (:wanted)"),
        {"wanted": list(wanted)},
    )
    return {row.business_id: row.country for row in found}


def _answer(ruling: Ruling) -> Resolved:
    account = ruling.account
    return Resolved(
        member_id=account.person.member_id if account else None,
        account_id=account.account_id if account else None,
        outcome=ruling.outcome,
    )
