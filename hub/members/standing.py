"""Reading what stands for the people of a batch, in one round trip, after their locks are held."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.members.identifiers import Identifier, Kind
from hub.members.matching import Account, Claim, Person, Seen, Standing

# A member that was merged away leads in one step to the member it now is; claims and links stay
# with the member they were born to, so a member's own are those of its whole family.
_STANDING = text("""
WITH claimed AS (
  SELECT c.claim_id, c.kind, c.blind_index, c.account_id, c.last_seen_at,
    coalesce(m.merged_into, m.member_id) AS member_id
  FROM unnest(CAST(:kinds AS smallint[]), CAST(:digests AS bytea[])) AS u (kind, digest)
  JOIN identifier_claim c ON c.kind = u.kind AND c.blind_index = u.digest
    AND c.closed_at IS NULL AND c.verified
  JOIN member m USING (member_id)
), met AS (
  SELECT member_id FROM claimed
  UNION
  SELECT coalesce(m.merged_into, m.member_id)
  FROM unnest(CAST(:businesses AS smallint[]), CAST(:externals AS text[]))
    AS u (business_id, external_id)
  JOIN account a ON a.business_id = u.business_id AND a.external_id = u.external_id
  JOIN account_link l ON l.account_id = a.account_id AND upper_inf(l.valid)
  JOIN member m USING (member_id)
), family AS (
  SELECT member_id, member_id AS born_id FROM met
  UNION ALL
  SELECT met.member_id, m.member_id FROM met JOIN member m ON m.merged_into = met.member_id
)
SELECT
  array(
    SELECT row(f.member_id, a.account_id, a.business_id, a.external_id, a.walk_in, k.wrapped,
      p.ciphertext)
    FROM family f
    JOIN account_link l ON l.member_id = f.born_id AND upper_inf(l.valid)
    JOIN account a ON a.account_id = l.account_id
    LEFT JOIN account_key k ON k.account_id = a.account_id
    LEFT JOIN account_profile p ON p.account_id = a.account_id AND p.attribute = 'name'
    ORDER BY a.account_id
  ) AS accounts,
  array(
    SELECT row(member_id, claim_id, kind, blind_index, account_id, last_seen_at) FROM claimed
    UNION
    SELECT row(f.member_id, c.claim_id, c.kind, c.blind_index, c.account_id, c.last_seen_at)
    FROM family f
    JOIN identifier_claim c ON c.member_id = f.born_id AND c.kind IN (1, 3, 4)
      AND c.closed_at IS NULL AND c.verified
  ) AS claims
""")


async def read_standing(db: AsyncConnection, *, seen: Iterable[Seen], keyring: Keyring) -> Standing:
    """Return the members, accounts and claims that the sightings touch."""
    by_digest: dict[tuple[Kind, bytes], Identifier] = {}
    accounts: set[tuple[int, str]] = set()
    for one in seen:
        for identifier in (*one.reading.verified, *one.reading.evidence):
            by_digest.update({(identifier.kind, d): identifier for d in identifier.digests})
        if one.external_id is not None:
            accounts.add((one.business_id, one.external_id))
    found = await db.execute(
        _STANDING,
        {
            "kinds": [int(kind) for kind, _ in by_digest],
            "digests": [digest for _, digest in by_digest],
            "businesses": [business_id for business_id, _ in accounts],
            "externals": [external_id for _, external_id in accounts],
        },
    )
    row = found.one()
    persons: dict[int, Person] = {}
    standing = Standing()
    by_id = {record[1]: _account(standing, persons, record, keyring) for record in row.accounts}
    for record in row.claims:
        _claim(standing, persons, record, by_id, by_digest)
    return standing


def _person(persons: dict[int, Person], member_id: int) -> Person:
    return persons.setdefault(member_id, Person(member_id))


def _account(
    standing: Standing, persons: dict[int, Person], record: Any, keyring: Keyring
) -> Account:
    member_id, account_id, business_id, external_id, walk_in, wrapped, name = record
    key = None if wrapped is None else fields.unwrap(keyring, wrapped, account_id=account_id)
    account = Account(
        business_id=business_id,
        external_id=external_id,
        person=_person(persons, member_id),
        account_id=account_id,
        key=key,
        walk_in=walk_in,
        erased=key is None,
    )
    account.person.accounts.append(account)
    if key is not None and name is not None:
        account.person.names.append(
            key.decrypt(name, table="account_profile", column="name", row=str(account_id))
        )
    standing.accounts[business_id, external_id] = account
    return account


def _claim(
    standing: Standing,
    persons: dict[int, Person],
    record: Any,
    accounts: dict[int, Account],
    identifiers: dict[tuple[Kind, bytes], Identifier],
) -> None:
    member_id, claim_id, number, digest, account_id, last_seen_at = record
    kind = Kind(number)
    # One that the batch does not mention is only compared: the version of its key is not needed.
    identifier = identifiers.get((kind, digest)) or Identifier(kind, (digest,), 0)
    claim = Claim(
        identifier, _person(persons, member_id), accounts.get(account_id), last_seen_at, claim_id
    )
    standing.owners[kind, identifier.digest] = claim
    if kind.exclusive:
        claim.person.held[kind] = claim
