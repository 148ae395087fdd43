"""Writing what a batch changes: what is new is numbered, then all is stored at once."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.members.matching import Account, Changes, Claim

_NUMBERS = text("""
SELECT
  array(SELECT nextval(pg_get_serial_sequence('member', 'member_id'))
    FROM generate_series(1, CAST(:persons AS integer))) AS members,
  array(SELECT nextval(pg_get_serial_sequence('account', 'account_id'))
    FROM generate_series(1, CAST(:accounts AS integer))) AS accounts
""")

_CLOSE = text("""
UPDATE identifier_claim SET closed_at = greatest(opened_at, CAST(:now AS timestamptz))
WHERE claim_id = ANY (CAST(:claims AS bigint[]))
""")

# Rows come sorted by their keys, so that two batches never wait for each other.
_STORE = text("""
WITH members AS (
  INSERT INTO member (member_id, created_at)
  SELECT unnest(CAST(:members AS bigint[])), CAST(:now AS timestamptz)
), accounts AS (
  INSERT INTO account (account_id, business_id, external_id, walk_in, created_at)
  SELECT a.*, CAST(:now AS timestamptz)
  FROM unnest(CAST(:a_id AS bigint[]), CAST(:a_business AS smallint[]),
    CAST(:a_external AS text[]), CAST(:a_walk_in AS boolean[])) a
), keys AS (
  INSERT INTO account_key (account_id, wrapped, kek_version)
  SELECT * FROM unnest(CAST(:a_id AS bigint[]), CAST(:a_wrapped AS bytea[]),
    CAST(:a_kek AS integer[]))
), links AS (
  INSERT INTO account_link (account_id, member_id, method, valid)
  SELECT l.*, tstzrange(CAST(:now AS timestamptz), NULL) FROM unnest(CAST(:a_id AS bigint[]),
    CAST(:a_member AS bigint[]), CAST(:a_method AS text[])) l
), seen AS (
  UPDATE identifier_claim c SET blind_index = s.digest, index_key_version = s.key_version,
    last_seen_at = greatest(c.last_seen_at, s.seen_at)
  FROM unnest(CAST(:s_claim AS bigint[]), CAST(:s_digest AS bytea[]),
    CAST(:s_version AS integer[]), CAST(:s_seen AS timestamptz[]))
    AS s (claim_id, digest, key_version, seen_at)
  WHERE c.claim_id = s.claim_id
), claims AS (
  INSERT INTO identifier_claim (kind, blind_index, index_key_version, member_id, account_id,
    last_seen_at, verified, opened_at)
  SELECT c.*, CAST(:now AS timestamptz)
  FROM unnest(CAST(:c_kind AS smallint[]), CAST(:c_digest AS bytea[]),
    CAST(:c_version AS integer[]), CAST(:c_member AS bigint[]), CAST(:c_account AS bigint[]),
    CAST(:c_seen AS timestamptz[]), CAST(:c_verified AS boolean[])) c
  ON CONFLICT (kind, blind_index, account_id) WHERE closed_at IS NULL AND NOT verified
    DO UPDATE SET last_seen_at = greatest(identifier_claim.last_seen_at, excluded.last_seen_at)
), profiles AS (
  INSERT INTO account_profile (account_id, attribute, ciphertext, verified, observed_at)
  SELECT * FROM unnest(CAST(:p_account AS bigint[]), CAST(:p_attribute AS text[]),
    CAST(:p_ciphertext AS bytea[]), CAST(:p_verified AS boolean[]),
    CAST(:p_observed AS timestamptz[]))
  ON CONFLICT (account_id, attribute) DO UPDATE SET ciphertext = excluded.ciphertext,
    verified = excluded.verified, observed_at = excluded.observed_at
  WHERE (account_profile.verified, account_profile.observed_at)
    < (excluded.verified, excluded.observed_at)
)
INSERT INTO review_item (account_id, reason, candidates, opened_at)
SELECT r.account_id, r.reason, CAST(r.candidates AS bigint[]), CAST(:now AS timestamptz)
FROM unnest(CAST(:r_account AS bigint[]), CAST(:r_reason AS text[]), CAST(:r_candidates AS text[]))
  AS r (account_id, reason, candidates)
ON CONFLICT (account_id, reason) WHERE state = 'open' DO UPDATE SET candidates = array(
  SELECT DISTINCT unnest(review_item.candidates || excluded.candidates) ORDER BY 1)
WHERE NOT review_item.candidates @> excluded.candidates
""")


async def record(db: AsyncConnection, *, changes: Changes, now: datetime, keyring: Keyring) -> None:
    """Number what is new and store the changes; afterwards every person and account has its id."""
    wrapped = await _number(db, changes, keyring)
    if changes.closed:
        closed = [claim.claim_id for claim in changes.closed]
        await db.execute(_CLOSE, {"claims": closed, "now": now})
    rows = {
        **_columns(["members"], [(p.member_id,) for p in changes.persons]),
        **_columns(
            ["a_id", "a_business", "a_external", "a_walk_in", "a_member", "a_method"],
            [
                (
                    a.account_id,
                    a.business_id,
                    a.external_id,
                    a.walk_in,
                    a.person.member_id,
                    a.method,
                )
                for a in changes.accounts
            ],
        ),
        **_columns(["a_wrapped", "a_kek"], [(w.envelope, w.kek_version) for w in wrapped]),
        **_columns(["s_claim", "s_digest", "s_version", "s_seen"], sorted(_seen(changes))),
        **_columns(
            ["c_kind", "c_digest", "c_version", "c_member", "c_account", "c_seen", "c_verified"],
            sorted(_claims(changes)),
        ),
        **_columns(
            ["p_account", "p_attribute", "p_verified", "p_observed", "p_ciphertext"],
            sorted(_profile(changes)),
        ),
        **_columns(["r_account", "r_reason", "r_candidates"], sorted(_reviews(changes))),
    }
    if any(rows.values()):
        await db.execute(_STORE, {**rows, "now": now})


async def _number(
    db: AsyncConnection, changes: Changes, keyring: Keyring
) -> list[fields.WrappedKey]:
    """Give new members and accounts their ids, and each account its key; return those wrapped."""
    if not changes.accounts:
        return []
    found = await db.execute(
        _NUMBERS, {"persons": len(changes.persons), "accounts": len(changes.accounts)}
    )
    numbers = found.one()
    for person, member_id in zip(changes.persons, numbers.members, strict=True):
        person.member_id = member_id
    wrapped = []
    for account, account_id in zip(changes.accounts, numbers.accounts, strict=True):
        account.account_id = account_id
        account.key, stored = fields.mint(keyring, account_id=account_id)
        wrapped.append(stored)
        if account.external_id is None:
            account.external_id = f"{HUB_PREFIX}member:{account.person.member_id}"
    return wrapped


HUB_PREFIX = "hub:"
"""External ids that begin so are the hub's own; `resolve` refuses them from a source."""


def _columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Turn rows into one list per column, as `unnest` takes them."""
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _seen(changes: Changes) -> Iterable[tuple[Any, ...]]:
    for claim in changes.seen:
        if claim.claim_id is not None:
            identifier = claim.identifier
            yield claim.claim_id, identifier.digest, identifier.key_version, claim.last_seen_at


def _claims(changes: Changes) -> Iterable[tuple[Any, ...]]:
    for claim in changes.claims:
        yield _claim_row(claim)
    for (account, identifier), seen_at in changes.evidence.items():
        yield _claim_row(Claim(identifier, account.person, account, seen_at), verified=False)


def _claim_row(claim: Claim, *, verified: bool = True) -> tuple[Any, ...]:
    account = claim.account
    return (
        int(claim.identifier.kind),
        claim.identifier.digest,
        claim.identifier.key_version,
        claim.person.member_id,
        account.account_id if account else None,
        claim.last_seen_at,
        verified,
    )


def _profile(changes: Changes) -> Iterable[tuple[Any, ...]]:
    for (account, attribute), (trait, seen_at) in changes.traits.items():
        sealed = seal_trait(account, attribute, trait.text)
        yield account.account_id, attribute.value, trait.verified, seen_at, sealed


def seal_trait(account: Account, attribute: HintType, text: str) -> bytes:
    """Encrypt one attribute for its place on an account's profile."""
    if account.key is None:
        raise ValueError(f"account {account.account_id} has no key")
    return account.key.encrypt(
        text, table="account_profile", column=attribute.value, row=str(account.account_id)
    )


def _reviews(changes: Changes) -> Iterable[tuple[Any, ...]]:
    for (account, reason), candidates in changes.reviews.items():
        ids = sorted(person.member_id or 0 for person in candidates)
        yield account.account_id, reason.value, "{" + ",".join(map(str, ids)) + "}"
