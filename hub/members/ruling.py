"""The rules of real-time resolution, on what stands and what was just seen. Pure.

    an account that is known keeps its member, whatever is said about it
    an account whose person was erased leads to nobody, whatever is said about it
    else  no verified identifier is owned              -> a new member
          one member owns some, and nothing objects    -> that member
          anything else                                -> a new member and a review item

What objects: identifiers of several members; another verified value of a kind that a person has
one of; a name that cannot be theirs; an account they already have at this business. An unverified
identifier never links, however well it fits: at most it makes a review item. Two members that
exist are never made one here: that takes a person, or the batch matcher's stronger evidence.

A phone that its owner has not shown for 90 days may be somebody else's by now: it is evidence only,
and passes to whoever shows it verified. So does one that a person has just proven by a code, if
they cannot be its owner. The claim passes and nothing else: no account, and no points.

An identifier that many people give (`hub.members.learn_shared`) says nothing of who somebody is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hub.members.identifiers import Identifier, Reading
from hub.members.people import (
    HUB_PREFIX,
    Account,
    Changes,
    Claim,
    Outcome,
    Person,
    Reason,
    Seen,
    Standing,
)
from hub.members.telling_apart import are_two, names_apart


@dataclass(frozen=True, slots=True)
class Ruling:
    """Who a sighting is."""

    account: Account | None
    outcome: Outcome


def rule(standing: Standing, changes: Changes, seen: Seen) -> Ruling:
    """Decide who was seen, add what is to be written to `changes`, and bring `standing` up."""
    if seen.external_id is None:
        return _walk_in(standing, changes, seen) if seen.reading.verified else _ANONYMOUS
    account = standing.accounts.get((seen.business_id, seen.external_id))
    if account is None:
        return _admit(standing, changes, seen)
    if account.erased:
        return Ruling(account, Outcome.ERASED)
    _claim(standing, changes, seen, account)
    _note(standing, changes, seen, account)
    return Ruling(account, Outcome.KNOWN)


_ANONYMOUS = Ruling(None, Outcome.ANONYMOUS)


def _admit(standing: Standing, changes: Changes, seen: Seen) -> Ruling:
    """A record that a business shows for the first time."""
    owners = _owners(standing, _telling(standing, seen))
    objection = _objection(seen, owners)
    if owners and objection is None:
        account = _open_account(standing, changes, seen, owners[0])
        outcome = Outcome.MATCHED
    else:
        account = _open_account(standing, changes, seen, _new_person(standing, changes))
        doubts = owners
        if objection is None and (doubts := _suspects(standing, seen)):
            objection = Reason.UNVERIFIED_IDENTIFIER
        if objection is not None:
            changes.doubt(account, objection, doubts)
        outcome = Outcome.NEW
    _claim(standing, changes, seen, account, taken=None)
    _note(standing, changes, seen, account)
    if outcome is Outcome.NEW and any(doubted is account for doubted, _ in changes.reviews):
        outcome = Outcome.NEW_WITH_REVIEW
    return Ruling(account, outcome)


def _walk_in(standing: Standing, changes: Changes, seen: Seen) -> Ruling:
    """Someone known by a verified identifier only: their account here, or one the hub keeps.

    Nothing of the business's own would be linked, so no name can object. But whoever cannot be
    told stays anonymous: there would be no record to find them by next time.
    """
    owners = _owners(standing, _telling(standing, seen))
    if len(owners) > 1 or (owners and _conflicts(seen, owners[0])):
        return _ANONYMOUS
    person = owners[0] if owners else _new_person(standing, changes)
    born_id = _born(standing, seen, person)
    here = [
        account
        for account in person.accounts
        if account.business_id == seen.business_id and account.born_id == born_id
    ]
    account = min(here, key=lambda a: (a.walk_in, a.account_id), default=None)
    if account is not None:
        outcome = Outcome.KNOWN
    else:
        account = _open_account(standing, changes, seen, person)
        outcome = Outcome.MATCHED if owners else Outcome.NEW
    if not account.erased and not _name_contradicts(seen.reading, person):
        _claim(standing, changes, seen, account)
        _note(standing, changes, seen, account)
    return Ruling(account, outcome)


def _owners(standing: Standing, identifiers: Sequence[Identifier]) -> list[Person]:
    """The distinct members who own some of the identifiers, in the order of these."""
    claims = (standing.owner(identifier) for identifier in identifiers)
    return list(dict.fromkeys(claim.person for claim in claims if claim is not None))


def _telling(standing: Standing, seen: Seen) -> list[Identifier]:
    """The verified identifiers that tell who somebody is: not those whose claims would pass on."""
    return [
        identifier
        for identifier in seen.reading.verified
        if (claim := standing.owner(identifier)) is None or not _passes(claim, seen)
    ]


def _passes(claim: Claim, seen: Seen, person: Person | None = None) -> bool:
    """Whether a claim passes to who is seen, a person already known or not."""
    return claim.is_stale(seen.seen_at) or (seen.proven and are_two(seen, person, claim.person))


def _objection(seen: Seen, owners: Sequence[Person]) -> Reason | None:
    if len(owners) > 1:
        return Reason.SEVERAL_OWNERS
    for person in owners:
        if _conflicts(seen, person):
            return Reason.CONFLICTING_IDENTIFIER
        if _name_contradicts(seen.reading, person):
            return Reason.NAME_CONTRADICTS
        if any(a.business_id == seen.business_id and not a.walk_in for a in person.accounts):
            return Reason.SECOND_ACCOUNT
    return None


def _conflicts(seen: Seen, person: Person) -> bool:
    """Whether the person has another one of what one has once, and showed it not long ago."""
    for identifier in seen.reading.verified:
        held = person.holding(identifier.kind)
        others = [claim for claim in held if claim.identifier.digest not in identifier.digests]
        if len(others) == len(held) and not all(c.is_stale(seen.seen_at) for c in others):
            return True
    return False


def _name_contradicts(reading: Reading, person: Person) -> bool:
    return reading.name is not None and names_apart([reading.name], person.names)


def _suspects(standing: Standing, seen: Seen) -> list[Person]:
    """Members whom unverified identifiers point at, unless their names forbid it."""
    owners = _owners(standing, seen.reading.evidence)
    return [person for person in owners if not _name_contradicts(seen.reading, person)]


def _new_person(standing: Standing, changes: Changes) -> Person:
    person = Person(standing.fresh_members.pop(), new=True)
    changes.persons.append(person)
    return person


def _open_account(standing: Standing, changes: Changes, seen: Seen, person: Person) -> Account:
    born_id = _born(standing, seen, person)
    account = Account(
        account_id=standing.fresh_accounts.pop(),
        business_id=seen.business_id,
        external_id=seen.external_id or f"{HUB_PREFIX}member:{born_id}",
        person=person,
        born_id=born_id,
        walk_in=seen.external_id is None,
        method="birth" if person.new and not person.accounts else "identifier",
    )
    person.accounts.append(account)
    changes.accounts.append(account)
    standing.accounts[account.business_id, account.external_id] = account
    return account


def _born(standing: Standing, seen: Seen, person: Person) -> int:
    """The birth of a person that a new account of theirs is linked to: whose identifier led here.

    So a split finds it where it would be if there had never been a merge.
    """
    claims = [standing.owner(identifier) for identifier in seen.reading.verified]
    born = (claim.born_id for claim in claims if claim is not None and claim.person is person)
    return next(born, person.member_id)


def _claim(
    standing: Standing,
    changes: Changes,
    seen: Seen,
    account: Account,
    *,
    taken: Reason | None = Reason.IDENTIFIER_TAKEN,
) -> None:
    """Claim the verified identifiers that are free; refresh those that the member owns.

    Those of another member are put to review for the reason `taken`, unless they were already.
    """
    person = account.person
    for identifier in seen.reading.verified:
        claim = standing.owner(identifier)
        if claim is not None and claim.person is person:
            claim.last_seen_at = max(claim.last_seen_at, seen.seen_at)
            changes.seen.add(claim)
        elif claim is not None and not _passes(claim, seen, person):
            if taken is not None:
                changes.doubt(account, taken, [claim.person])
        elif _makes_room(standing, changes, seen, account, identifier):
            if claim is not None:
                _pass_on(standing, changes, seen, account, claim)
            _open_claim(standing, changes, seen, account, identifier)


def _makes_room(
    standing: Standing, changes: Changes, seen: Seen, account: Account, identifier: Identifier
) -> bool:
    """Let go of what an identifier replaces; False where the person keeps what they have.

    Where a person has one at a time, the account that claimed the last one may replace it, by
    something newer: a changed phone. Another account may not, unless the old one was unseen for
    long or the person has proven the new one.
    """
    person = account.person
    held = person.held.get((identifier.kind, account.born_id))
    if held is None:
        return True
    if any(held.identifier.digest in other.digests for other in seen.reading.verified):
        return False  # one sighting with two phones: the person keeps the one they had
    if held.account is not account and not seen.proven and not held.is_stale(seen.seen_at):
        changes.doubt(account, Reason.CONFLICTING_IDENTIFIER, [person])
        return False
    if not seen.proven and seen.seen_at <= held.last_seen_at:
        return False  # a late arrival from before the change
    _close(standing, changes, held)
    return True


def _pass_on(
    standing: Standing, changes: Changes, seen: Seen, account: Account, claim: Claim
) -> None:
    """End a claim that passes to another person, whose who had it may still be.

    It stays as evidence. Unless they cannot be one person, somebody is to look at it.
    """
    _close(standing, changes, claim)
    if claim.account is not None and not claim.account.erased:
        changes.evidence[claim.account, claim.identifier] = claim.last_seen_at
    if not are_two(seen, account.person, claim.person):
        changes.doubt(account, Reason.STALE_IDENTIFIER, [claim.person])


def _open_claim(
    standing: Standing, changes: Changes, seen: Seen, account: Account, identifier: Identifier
) -> None:
    claim = Claim(identifier, account.person, account, seen.seen_at, account.born_id)
    standing.owners[identifier.kind, identifier.digest] = claim
    changes.claims.append(claim)
    if identifier.kind.exclusive:
        account.person.held[identifier.kind, claim.born_id] = claim


def _close(standing: Standing, changes: Changes, claim: Claim) -> None:
    kind = claim.identifier.kind
    standing.owners.pop((kind, claim.identifier.digest), None)
    if claim.person.held.get((kind, claim.born_id)) is claim:
        del claim.person.held[kind, claim.born_id]
    if claim.claim_id is None:
        changes.claims.remove(claim)
    else:
        changes.closed.append(claim)


def _note(standing: Standing, changes: Changes, seen: Seen, account: Account) -> None:
    """Keep what was said on the account's profile, and as evidence what the person does not own."""
    reading = seen.reading
    for identifier in (*reading.verified, *reading.evidence, *reading.shared):
        owner = standing.owner(identifier)
        if owner is None or owner.person is not account.person:
            known_at = changes.evidence.get((account, identifier), seen.seen_at)
            changes.evidence[account, identifier] = max(known_at, seen.seen_at)
    for kept, traits in ((changes.traits, reading.traits), (changes.as_given, reading.as_given)):
        for trait in traits:
            known = kept.get((account, trait.attribute))
            if known is None or (known[0].verified, known[1]) < (trait.verified, seen.seen_at):
                kept[account, trait.attribute] = (trait, seen.seen_at)
    if reading.name is not None and reading.name not in account.person.names:
        account.person.names.append(reading.name)
