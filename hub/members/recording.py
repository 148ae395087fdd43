"""Writing what a batch changes."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.members.identifiers import Identifier
from hub.members.learn_shared import asking
from hub.members.people import Account, Changes, Claim

AS_GIVEN = "_as_given"
"""Ends the name under which a profile keeps what could not be read as that attribute."""

# The function (migration 0023_people_record) says in what order it writes.
_RECORD = text("""
SELECT * FROM people_record(:now, :members,
  :account, :account_business, :account_external, :account_walk_in, :account_member,
  :account_method, :account_wrapped, :account_kek_version,
  :closed,
  :seen, :seen_digest, :seen_key_version, :seen_at,
  :claim_kind, :claim_digest, :claim_key_version, :claim_member, :claim_account, :claim_at,
  :claim_verified,
  :profile, :profile_attribute, :profile_verified, :profile_at, :profile_ciphertext,
  :review, :review_reason, :review_candidates,
  :kinds, :digests, :looked_at, :most_people)
""")

_ACCOUNTS = (
    "account",
    "account_business",
    "account_external",
    "account_walk_in",
    "account_member",
    "account_method",
    "account_wrapped",
    "account_kek_version",
)
_SEEN = ("seen", "seen_digest", "seen_key_version", "seen_at")
_CLAIMS = (
    "claim_kind",
    "claim_digest",
    "claim_key_version",
    "claim_member",
    "claim_account",
    "claim_at",
    "claim_verified",
)
_PROFILE = (
    "profile",
    "profile_attribute",
    "profile_verified",
    "profile_at",
    "profile_ciphertext",
)
_REVIEWS = ("review", "review_reason", "review_candidates")


async def record(
    db: AsyncConnection,
    *,
    changes: Changes,
    doubted: Iterable[Identifier],
    now: datetime,
    keyring: Keyring,
) -> Sequence[Row[Any]]:
    """Store the changes of a batch, whose locks must still be held, in one round trip.

    Returns who gives the doubted identifiers now, for `hub.members.learn_shared`.
    """
    if changes == Changes():
        return []
    found = await db.execute(
        _RECORD,
        {
            "now": now,
            "members": [person.member_id for person in changes.persons],
            "closed": [claim.claim_id for claim in changes.closed],
            **_columns(_ACCOUNTS, _births(changes, keyring)),
            **_columns(_SEEN, _seen(changes)),
            **_columns(_CLAIMS, _claims(changes)),
            **_columns(_PROFILE, _profile(changes)),
            **_columns(_REVIEWS, _reviews(changes)),
            **asking(doubted),
        },
    )
    return found.all()


def _columns(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> dict[str, Sequence[Any]]:
    """Return a list per column as `unnest` takes them, the rows in the order of their keys.

    So two batches never wait for each other.
    """
    columns = list(zip(*sorted(rows), strict=True)) or [()] * len(names)
    return dict(zip(names, columns, strict=True))


def _births(changes: Changes, keyring: Keyring) -> Iterable[tuple[Any, ...]]:
    """Give each new account its key."""
    for account in changes.accounts:
        account.key, wrapped = fields.mint(keyring, account_id=account.account_id)
        yield (
            account.account_id,
            account.business_id,
            account.external_id,
            account.walk_in,
            account.born_id,
            account.method,
            wrapped.envelope,
            wrapped.kek_version,
        )


def _seen(changes: Changes) -> Iterable[tuple[Any, ...]]:
    for claim in changes.seen:
        if claim.claim_id is not None:
            identifier = claim.identifier
            yield claim.claim_id, identifier.digest, identifier.key_version, claim.last_seen_at


def _claims(changes: Changes) -> Iterable[tuple[Any, ...]]:
    for claim in changes.claims:
        yield _claim_row(claim)
    for (account, identifier), seen_at in changes.evidence.items():
        yield _claim_row(
            Claim(identifier, account.person, account, seen_at, account.born_id), verified=False
        )


def _claim_row(claim: Claim, *, verified: bool = True) -> tuple[Any, ...]:
    account = claim.account
    return (
        int(claim.identifier.kind),
        claim.identifier.digest,
        claim.identifier.key_version,
        claim.born_id,
        account.account_id if account else None,
        claim.last_seen_at,
        verified,
    )


def _profile(changes: Changes) -> Iterable[tuple[Any, ...]]:
    for suffix, kept in (("", changes.traits), (AS_GIVEN, changes.as_given)):
        for (account, hint), (trait, seen_at) in kept.items():
            attribute = f"{hint.value}{suffix}"
            sealed = _seal(account, attribute, trait.text)
            yield account.account_id, attribute, trait.verified, seen_at, sealed


def _seal(account: Account, attribute: str, value: str) -> bytes:
    if account.key is None:
        raise ValueError(f"account {account.account_id} has no key")
    return account.key.encrypt(
        value, table="account_profile", column=attribute, row=str(account.account_id)
    )


def _reviews(changes: Changes) -> Iterable[tuple[Any, ...]]:
    for (account, reason), candidates in changes.reviews.items():
        ids = sorted(person.member_id for person in candidates)
        yield account.account_id, reason.value, "{" + ",".join(map(str, ids)) + "}"
