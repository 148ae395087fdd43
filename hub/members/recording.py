"""Writing what a batch changes."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.members.people import Account, Changes, Claim

AS_GIVEN = "_as_given"
"""Ends the name under which a profile keeps what could not be read as that attribute."""

_CLOSE = text("""
UPDATE identifier_claim SET closed_at = greatest(opened_at, CAST(:now AS timestamptz))
WHERE claim_id = ANY (CAST(:claims AS bigint[]))
""")

_BIRTH = text("""
WITH members AS (
  INSERT INTO member (member_id, created_at)
  SELECT unnest(CAST(:members AS bigint[])), CAST(:now AS timestamptz)
), accounts AS (
  INSERT INTO account (account_id, business_id, external_id, walk_in, created_at)
  SELECT a.*, CAST(:now AS timestamptz)
  FROM unnest(CAST(:account AS bigint[]), CAST(:business AS smallint[]),
    CAST(:external AS text[]), CAST(:walk_in AS boolean[])) a
), keys AS (
  INSERT INTO account_key (account_id, wrapped, kek_version)
  SELECT * FROM unnest(CAST(:account AS bigint[]), CAST(:wrapped AS bytea[]),
    CAST(:kek_version AS integer[]))
)
INSERT INTO account_link (account_id, member_id, method, valid)
SELECT l.*, tstzrange(CAST(:now AS timestamptz), NULL)
FROM unnest(CAST(:account AS bigint[]), CAST(:member AS bigint[]), CAST(:method AS text[])) l
""")

_CLAIM = text("""
INSERT INTO identifier_claim (kind, blind_index, index_key_version, member_id, account_id,
  last_seen_at, verified, opened_at)
SELECT c.*, CAST(:now AS timestamptz)
FROM unnest(CAST(:kind AS smallint[]), CAST(:digest AS bytea[]), CAST(:key_version AS integer[]),
  CAST(:member AS bigint[]), CAST(:account AS bigint[]), CAST(:seen_at AS timestamptz[]),
  CAST(:verified AS boolean[])) c
ON CONFLICT (kind, blind_index, account_id) WHERE closed_at IS NULL AND NOT verified
  DO UPDATE SET last_seen_at = greatest(identifier_claim.last_seen_at, excluded.last_seen_at)
""")

# A claim found under an older version of the index key moves to the active one.
_SEE = text("""
UPDATE identifier_claim c SET blind_index = s.digest, index_key_version = s.key_version,
  last_seen_at = greatest(c.last_seen_at, s.seen_at)
FROM unnest(CAST(:claim AS bigint[]), CAST(:digest AS bytea[]), CAST(:key_version AS integer[]),
  CAST(:seen_at AS timestamptz[])) AS s (claim_id, digest, key_version, seen_at)
WHERE c.claim_id = s.claim_id
""")

_NOTE = text("""
INSERT INTO account_profile (account_id, attribute, verified, observed_at, ciphertext)
SELECT * FROM unnest(CAST(:account AS bigint[]), CAST(:attribute AS text[]),
  CAST(:verified AS boolean[]), CAST(:observed_at AS timestamptz[]), CAST(:ciphertext AS bytea[]))
ON CONFLICT (account_id, attribute) DO UPDATE SET ciphertext = excluded.ciphertext,
  verified = excluded.verified, observed_at = excluded.observed_at
WHERE (account_profile.verified, account_profile.observed_at)
  < (excluded.verified, excluded.observed_at)
""")

_DOUBT = text("""
INSERT INTO review_item (account_id, reason, candidates, opened_at)
SELECT r.account_id, r.reason, CAST(r.candidates AS bigint[]), CAST(:now AS timestamptz)
FROM unnest(CAST(:account AS bigint[]), CAST(:reason AS text[]), CAST(:candidates AS text[]))
  AS r (account_id, reason, candidates)
ON CONFLICT (account_id, reason) WHERE state = 'open' DO UPDATE SET candidates = array(
  SELECT DISTINCT unnest(review_item.candidates || excluded.candidates) ORDER BY 1)
WHERE NOT review_item.candidates @> excluded.candidates
""")


async def record(db: AsyncConnection, *, changes: Changes, now: datetime, keyring: Keyring) -> None:
    """Store the changes of a batch. Its locks must still be held.

    One statement per table, and none for what does not change. Rows go in the order of their keys,
    so that two batches never wait for each other.
    """
    if changes.accounts:
        await _give_birth(db, changes, now, keyring)
    if changes.closed:
        await db.execute(_CLOSE, {"claims": [c.claim_id for c in changes.closed], "now": now})
    await _store(db, _SEE, ["claim", "digest", "key_version", "seen_at"], _seen(changes))
    await _store(
        db,
        _CLAIM,
        ["kind", "digest", "key_version", "member", "account", "seen_at", "verified"],
        _claims(changes),
        now=now,
    )
    columns = ["account", "attribute", "verified", "observed_at", "ciphertext"]
    await _store(db, _NOTE, columns, _profile(changes))
    await _store(db, _DOUBT, ["account", "reason", "candidates"], _reviews(changes), now=now)


async def _store(
    db: AsyncConnection,
    statement: TextClause,
    columns: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
    **once: datetime,
) -> None:
    """Run a statement on rows, if any, handing it a list per column as `unnest` takes them."""
    if lists := list(zip(*sorted(rows), strict=True)):
        await db.execute(statement, {**dict(zip(columns, lists, strict=True)), **once})


async def _give_birth(
    db: AsyncConnection, changes: Changes, now: datetime, keyring: Keyring
) -> None:
    """Give each new account its key; store the new members and accounts and link them."""
    wrapped = []
    for account in changes.accounts:
        account.key, stored = fields.mint(keyring, account_id=account.account_id)
        wrapped.append(stored)
    await db.execute(
        _BIRTH,
        {
            "members": [p.member_id for p in changes.persons],
            "account": [a.account_id for a in changes.accounts],
            "business": [a.business_id for a in changes.accounts],
            "external": [a.external_id for a in changes.accounts],
            "walk_in": [a.walk_in for a in changes.accounts],
            "member": [a.born_id for a in changes.accounts],
            "method": [a.method for a in changes.accounts],
            "wrapped": [w.envelope for w in wrapped],
            "kek_version": [w.kek_version for w in wrapped],
            "now": now,
        },
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
