"""Locking the people of a batch and reading what stands for them, in one round trip."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.members.identifiers import Identifier, Kind
from hub.members.people import Account, Claim, Person, Seen, Standing

# The function (migration 0020_merging) says what it locks, in which order, and what it yields. The
# second one is called when the first has its locks.
_STANDING = text("""
SELECT * FROM people_standing(CAST(:locks AS bigint[]), CAST(:walk_ins AS integer),
  CAST(:businesses AS smallint[]), CAST(:externals AS text[]), CAST(:claiming AS boolean[]),
  CAST(:kinds AS smallint[]), CAST(:digests AS bytea[]), CAST(:verified AS boolean[]))
UNION ALL
SELECT s.what, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, s.kind, s.blind_index, NULL, NULL
FROM people_shared(CAST(:kinds AS smallint[]), CAST(:digests AS bytea[])) s
""")

_BIRTHDAYS = text("""
SELECT account_id, ciphertext FROM account_profile
WHERE account_id = ANY (CAST(:accounts AS bigint[])) AND attribute = 'birthday'
ORDER BY account_id
""")


async def lock_and_read(db: AsyncConnection, *, seen: Sequence[Seen], keyring: Keyring) -> Standing:
    """Lock what the sightings touch until the transaction ends; return what stands for it."""
    identifiers: dict[tuple[Kind, bytes], tuple[Identifier, bool]] = {}
    accounts: dict[tuple[int, str], bool] = {}
    for one in seen:
        for identifier in one.reading.evidence:
            for digest in identifier.digests:
                identifiers.setdefault((identifier.kind, digest), (identifier, False))
        for identifier in one.reading.verified:
            identifiers.update(
                {(identifier.kind, d): (identifier, True) for d in identifier.digests}
            )
        if one.external_id is not None:
            key = (one.business_id, one.external_id)
            accounts[key] = accounts.get(key, False) or bool(one.reading.verified)
    found = await db.execute(
        _STANDING,
        {
            "locks": _locks(identifiers, accounts),
            "walk_ins": sum(1 for one in seen if one.external_id is None and one.reading.verified),
            "businesses": [business_id for business_id, _ in accounts],
            "externals": [external_id for _, external_id in accounts],
            "claiming": list(accounts.values()),
            "kinds": [int(kind) for kind, _ in identifiers],
            "digests": [digest for _, digest in identifiers],
            "verified": [verified for _, verified in identifiers.values()],
        },
    )
    persons: dict[int, Person] = {}
    standing = Standing()
    by_id: dict[int, Account] = {}
    # Accounts come before claims, which refer to them.
    for row in found:
        match row.what:
            case "account":
                by_id[row.account_id] = _account(standing, persons, row, keyring)
            case "claim":
                _claim(standing, persons, row, by_id, identifiers)
            case "fresh":
                standing.fresh_members.appendleft(row.member_id)
                standing.fresh_accounts.appendleft(row.account_id)
            case "shared":
                standing.shared.add((Kind(row.kind), row.blind_index))
            case "released":
                standing.released.add((Kind(row.kind), row.blind_index))
    if _may_pass(standing, seen):
        await _read_birthdays(db, by_id)
    return standing


async def lock_people(
    db: AsyncConnection,
    *,
    accounts: Collection[tuple[int, str]],
    identifiers: Collection[tuple[int, bytes]],
) -> None:
    """Lock accounts and verified identifiers (kind and digest) as resolution does, in its order."""
    names = {_account_name(*account) for account in accounts}
    names |= {_identifier_name(*identifier) for identifier in identifiers}
    await db.execute(
        text("SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) AS k"),
        {"keys": sorted(map(_lock_key, names))},
    )


def _may_pass(standing: Standing, seen: Sequence[Seen]) -> bool:
    """Whether a claim may pass from one person to another: then all is asked that tells them apart.

    Few sightings come to that, so that the others need not read it.
    """
    latest = max(one.seen_at for one in seen)
    return any(one.proven for one in seen) or any(
        claim.is_stale(latest) for claim in standing.owners.values()
    )


async def _read_birthdays(db: AsyncConnection, accounts: dict[int, Account]) -> None:
    for row in await db.execute(_BIRTHDAYS, {"accounts": list(accounts)}):
        account = accounts[row.account_id]
        if account.key is not None:
            account.person.birthdays.append(
                account.key.decrypt(
                    row.ciphertext,
                    table="account_profile",
                    column="birthday",
                    row=str(row.account_id),
                )
            )


def _locks(
    identifiers: dict[tuple[Kind, bytes], tuple[Identifier, bool]],
    accounts: dict[tuple[int, str], bool],
) -> list[int]:
    """Unverified identifiers need no lock: nothing is decided on them that others could undo."""
    names = {_account_name(*account) for account in accounts}
    names |= {_identifier_name(*key) for key, (_, verified) in identifiers.items() if verified}
    return sorted(map(_lock_key, names))


def _account_name(business_id: int, external_id: str) -> str:
    return f"account/{business_id}/{external_id}"


def identifier_locks(identifier: Identifier) -> list[int]:
    """Return the keys of the locks that whoever shows an identifier as verified holds."""
    return sorted(_lock_key(_identifier_name(identifier.kind, d)) for d in identifier.digests)


def _identifier_name(kind: int, digest: bytes) -> str:
    return f"identifier/{int(kind)}/{digest.hex()}"


def _lock_key(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"hub.members").digest()
    return int.from_bytes(digest, signed=True)


def _person(persons: dict[int, Person], member_id: int) -> Person:
    return persons.setdefault(member_id, Person(member_id))


def _account(standing: Standing, persons: dict[int, Person], row: Any, keyring: Keyring) -> Account:
    account_id = row.account_id
    key = None
    if row.wrapped is not None:
        key = fields.unwrap(keyring, row.wrapped, account_id=account_id)
    account = Account(
        business_id=row.business_id,
        external_id=row.external_id,
        person=_person(persons, row.member_id),
        account_id=account_id,
        key=key,
        walk_in=row.walk_in,
        born_id=row.born_id,
        erased=key is None,
    )
    account.person.accounts.append(account)
    if key is not None and row.name is not None:
        account.person.names.append(
            key.decrypt(row.name, table="account_profile", column="name", row=str(account_id))
        )
    standing.accounts[row.business_id, row.external_id] = account
    return account


def _claim(
    standing: Standing,
    persons: dict[int, Person],
    row: Any,
    accounts: dict[int, Account],
    identifiers: dict[tuple[Kind, bytes], tuple[Identifier, bool]],
) -> None:
    kind = Kind(row.kind)
    # One that the batch does not mention is only compared: the version of its key is not needed.
    unmentioned = Identifier(kind, (row.blind_index,), 0)
    identifier, _ = identifiers.get((kind, row.blind_index), (unmentioned, False))
    claim = Claim(
        identifier=identifier,
        person=_person(persons, row.member_id),
        account=accounts.get(row.account_id),
        last_seen_at=row.last_seen_at,
        claim_id=row.claim_id,
        born_id=row.born_id,
    )
    standing.owners[kind, identifier.digest] = claim
    if kind.exclusive:
        claim.person.held[kind, claim.born_id] = claim
