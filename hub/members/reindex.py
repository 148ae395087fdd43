"""Reindex: move identifiers to the active version of the blind index's key."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.crypto import fields
from hub.crypto.blind_index import blind_indexes
from hub.crypto.keyring import Keyring
from hub.members.identifiers import Kind, Manner, normaliser

CHUNK_CLAIMS = 2_000

_ATTRIBUTES = {
    Kind.PHONE: HintType.PHONE,
    Kind.EMAIL: HintType.EMAIL,
    Kind.ID_DOCUMENT: HintType.ID_DOCUMENT_HASH,
    Kind.UNIONID: HintType.UNIONID,
    Kind.OPENID: HintType.OPENID,
    Kind.LOYALTY_ID: HintType.LOYALTY_ID,
}

_CLAIMS = text("""
SELECT c.claim_id, c.account_id, c.kind, c.blind_index, c.verified, k.wrapped, p.ciphertext
FROM identifier_claim c
JOIN unnest(CAST(:kinds AS smallint[]), CAST(:attributes AS text[])) AS a (kind, attribute)
  ON a.kind = c.kind
LEFT JOIN account_key k ON k.account_id = c.account_id
LEFT JOIN account_profile p ON p.account_id = c.account_id AND p.attribute = a.attribute
WHERE c.claim_id > :after AND c.closed_at IS NULL AND c.index_key_version <> :active
ORDER BY c.claim_id LIMIT :claims FOR UPDATE OF c SKIP LOCKED
""")

_MOVE = text("""
UPDATE identifier_claim c SET blind_index = n.digest, index_key_version = n.version
FROM unnest(CAST(:claims AS bigint[]), CAST(:digests AS bytea[]), CAST(:versions AS integer[]))
  AS n (claim_id, digest, version)
WHERE c.claim_id = n.claim_id
""")

# Evidence may have been seen again under the new key meanwhile: then there are two of it.
_MOVE_EVIDENCE = text("""
WITH moved AS (
  DELETE FROM identifier_claim c
  USING unnest(CAST(:claims AS bigint[]), CAST(:digests AS bytea[]), CAST(:versions AS integer[]))
    AS n (claim_id, digest, version)
  WHERE c.claim_id = n.claim_id
  RETURNING c.kind, n.digest, n.version, c.member_id, c.account_id, c.opened_at, c.last_seen_at
)
INSERT INTO identifier_claim AS c (kind, blind_index, index_key_version, member_id, account_id,
  opened_at, last_seen_at, verified)
SELECT kind, digest, version, member_id, account_id, opened_at, last_seen_at, false FROM moved
ON CONFLICT (kind, blind_index, account_id) WHERE closed_at IS NULL AND NOT verified
  DO UPDATE SET last_seen_at = greatest(c.last_seen_at, excluded.last_seen_at),
    opened_at = least(c.opened_at, excluded.opened_at)
""")

# That an identifier is shared is known by its index too, and moves with the first of its claims.
_MOVE_SHARED = text("""
UPDATE shared_identifier s SET blind_index = n.digest, index_key_version = :active
FROM (SELECT DISTINCT * FROM unnest(CAST(:kinds AS smallint[]), CAST(:old AS bytea[]),
  CAST(:digests AS bytea[])) AS u (kind, old, digest)) AS n
WHERE s.kind = n.kind AND s.blind_index = n.old AND NOT EXISTS (
  SELECT 1 FROM shared_identifier t WHERE t.kind = n.kind AND t.blind_index = n.digest)
""")


@dataclass(frozen=True, slots=True)
class Reindexed:
    """How many claims a chunk moved; `last_claim_id` is where the next one goes on."""

    claims: int
    last_claim_id: int | None


async def reindex(
    db: AsyncConnection, *, after_claim_id: int = 0, claims: int = CHUNK_CLAIMS, keyring: Keyring
) -> Reindexed:
    """Move the next `claims` open claims that are under another version than the active one.

    An index cannot be read back, so a claim moves if its account's profile still has the value that
    it was made of; the others move when they are seen again. Nobody waits: claims that somebody
    holds at this moment are left for the next pass. The caller commits each chunk and goes on until
    `last_claim_id` is None; started again after a crash, it goes on with what is left.
    """
    rows = await db.execute(
        _CLAIMS,
        {
            "after": after_claim_id,
            "active": keyring.blind_index.active,
            "claims": claims,
            "kinds": [int(kind) for kind in _ATTRIBUTES],
            "attributes": [attribute.value for attribute in _ATTRIBUTES.values()],
        },
    )
    found = rows.all()
    if not found:
        return Reindexed(0, None)
    moves = [(row, digest) for row in found if (digest := _digest_anew(row, keyring)) is not None]
    if moves:
        await db.execute(
            _MOVE_SHARED,
            {
                "kinds": [row.kind for row, _ in moves],
                "old": [row.blind_index for row, _ in moves],
                "digests": [digest for _, digest in moves],
                "active": keyring.blind_index.active,
            },
        )
    await _move(db, _MOVE, ((row, d) for row, d in moves if row.verified), keyring)
    await _move(db, _MOVE_EVIDENCE, ((row, d) for row, d in moves if not row.verified), keyring)
    return Reindexed(len(moves), found[-1].claim_id)


async def indexed_under(db: AsyncConnection) -> dict[int, int]:
    """Return how many open claims are under each version of the index's key."""
    rows = await db.execute(
        text("""
          SELECT index_key_version, count(*) FROM identifier_claim
          WHERE closed_at IS NULL GROUP BY 1""")
    )
    return {row[0]: row[1] for row in rows}


async def _move(
    db: AsyncConnection, statement: Any, moves: Iterable[tuple[Any, bytes]], keyring: Keyring
) -> None:
    pairs = list(moves)
    if pairs:
        await db.execute(
            statement,
            {
                "claims": [row.claim_id for row, _ in pairs],
                "digests": [digest for _, digest in pairs],
                "versions": [keyring.blind_index.active] * len(pairs),
            },
        )


def _digest_anew(row: Any, keyring: Keyring) -> bytes | None:
    """Return a claim's index under the active key; None where its value is not at hand."""
    if row.wrapped is None or row.ciphertext is None:
        return None
    kind = Kind(row.kind)
    key = fields.unwrap(keyring, row.wrapped, account_id=row.account_id)
    value = key.decrypt(
        row.ciphertext,
        table="account_profile",
        column=_ATTRIBUTES[kind].value,
        row=str(row.account_id),
    )
    normal = normaliser(kind, Manner())(value)
    if normal is None:
        return None
    indexes = blind_indexes(keyring, kind.name.lower(), normal)
    known = {index.digest for index in indexes}
    return indexes[0].digest if bytes(row.blind_index) in known else None
