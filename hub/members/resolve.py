"""Resolve in real time: who, in the whole group, is the person that a business has just seen?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Hint, HintType, is_text
from hub.crypto.keyring import Keyring
from hub.errors import Malformed
from hub.members.identifiers import Identifier, Manner, read
from hub.members.learn_shared import learn_shared
from hub.members.people import HUB_PREFIX, Changes, Outcome, Seen, Standing
from hub.members.recording import record
from hub.members.ruling import Ruling, rule
from hub.members.standing import lock_and_read


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A person as one business shows them at one instant.

    `external_id` is the business's own id for them, if it has one. `country` (ISO 3166) is where
    phone numbers without a country code are read; None: the business's own. `identifiers` are
    verified ones that are indexed already (`hub.members.documents`). `proven`: the person has just
    shown by a code that the verified ones are in their hands; only the hub itself says so, and may
    then name an account of its own.
    """

    business_id: int
    external_id: str | None
    hints: tuple[Hint, ...] = ()
    seen_at: datetime
    country: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    proven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Who a sighting is: the member, and the account on which they acted. None: anonymous.

    An erased account is told with no member: it is nobody's any more.
    """

    member_id: int | None
    account_id: int | None
    outcome: Outcome


async def resolve(
    db: AsyncConnection, *, people: Sequence[Sighting], now: datetime, keyring: Keyring
) -> list[Resolved]:
    """Resolve sightings to members, one answer each, in their order.

    A batch costs two round trips, and more only where something is rare about it.

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
    manners = await _manners(db, people)
    seen = [_read(one, manners, keyring) for one in people]
    if not any(one.external_id or one.reading.verified for one in seen):
        return [_answer(Ruling(None, Outcome.ANONYMOUS)) for _ in seen]
    standing = await lock_and_read(db, seen=seen, keyring=keyring)
    seen = [replace(one, reading=one.reading.setting_apart(standing.shared)) for one in seen]
    changes = Changes()
    rulings = [rule(standing, changes, one) for one in seen]
    doubted = _doubted(standing, changes)
    givers = await record(db, changes=changes, doubted=doubted, now=now, keyring=keyring)
    await learn_shared(db, identifiers=doubted, givers=givers, now=now, keyring=keyring)
    return [_answer(ruling) for ruling in rulings]


def _doubted(standing: Standing, changes: Changes) -> list[Identifier]:
    """Return what was given without being owned, unless it is known whether many share it."""
    known = standing.shared | standing.released
    given = dict.fromkeys(identifier for _, identifier in changes.evidence)
    return [one for one in given if not any((one.kind, d) in known for d in one.digests)]


def _read(one: Sighting, manners: dict[int, Manner], keyring: Keyring) -> Seen:
    manner = manners.get(one.business_id, Manner())
    if one.country is not None:
        manner = replace(manner, region=one.country)
    reading = read(one.hints, keyring=keyring, manner=manner, on=one.seen_at.date())
    if one.external_id is not None and not one.proven:
        check_external_id(one.external_id)
    return Seen(
        business_id=one.business_id,
        external_id=one.external_id,
        seen_at=one.seen_at,
        reading=reading.showing(one.identifiers) if one.identifiers else reading,
        proven=one.proven,
    )


def check_external_id(external_id: str) -> str:
    """Return a business's own id for a customer; raises Malformed when it cannot be one."""
    unfit = not 1 <= len(external_id) <= 200 or not is_text(external_id)
    if unfit or external_id.startswith(HUB_PREFIX):
        raise Malformed(f"{external_id[:40]!r} cannot be a customer's id", field="external_id")
    return external_id


async def _manners(db: AsyncConnection, people: Sequence[Sighting]) -> dict[int, Manner]:
    """Look up how businesses write, if something said cannot be read without."""
    wanted = {one.business_id for one in people if any(map(_has_a_manner, one.hints))}
    if not wanted:
        return {}
    found = await db.execute(
        text("""
          SELECT business_id, country, loyalty_check FROM business
          WHERE business_id = ANY (:wanted)"""),
        {"wanted": list(wanted)},
    )
    return {
        row.business_id: Manner(region=row.country, luhn=row.loyalty_check == "luhn")
        for row in found
    }


def _has_a_manner(hint: Hint) -> bool:
    local = hint.type is HintType.PHONE and not hint.value.lstrip().startswith("+")
    return local or hint.type is HintType.LOYALTY_ID


def _answer(ruling: Ruling) -> Resolved:
    account = ruling.account
    somebody = account is not None and ruling.outcome is not Outcome.ERASED
    return Resolved(
        member_id=account.person.member_id if account and somebody else None,
        account_id=account.account_id if account else None,
        outcome=ruling.outcome,
    )
