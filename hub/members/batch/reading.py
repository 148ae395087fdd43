"""Reading accounts' profiles for a match: opened in memory, and let go with it."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.members.identifiers import Kind, identify
from hub.members.matching.columns import Field
from hub.members.matching.population import Marker, Marks, mark, with_fields
from hub.members.matching.table import Table, build
from hub.members.matching.weights import PRIORS
from hub.members.normalise import delivered

CHUNK_ACCOUNTS = 5_000
COLUMNS = {
    HintType.NAME: Field.FULL_NAME,
    HintType.BIRTHDAY: Field.BIRTHDAY,
    HintType.PHONE: Field.PHONE,
    HintType.EMAIL: Field.EMAIL,
    HintType.ID_DOCUMENT_HASH: Field.DOCUMENT,
    HintType.UNIONID: Field.ACCOUNT_ID,
    HintType.LOYALTY_ID: Field.LOYALTY_ID,
}
FIELDS = [
    one
    for one in PRIORS
    if one in {*COLUMNS.values(), Field.GIVEN_NAME, Field.SURNAME} - {Field.FULL_NAME}
]
"""By these accounts are compared, even if nobody has said anything of one yet."""
# A name or a birthday is many people's; one of these is hardly anybody else's.
IDENTIFYING = (
    HintType.PHONE,
    HintType.EMAIL,
    HintType.ID_DOCUMENT_HASH,
    HintType.UNIONID,
    HintType.OPENID,
    HintType.LOYALTY_ID,
)
_MAY_BE_SHARED = {HintType.PHONE: Kind.PHONE, HintType.EMAIL: Kind.EMAIL}

# An erased account has no key. One without a profile says nothing, and is nobody's match.
_PROFILES = """
SELECT a.account_id, a.business_id, a.walk_in, a.external_id, k.wrapped,
  array_agg(p.attribute) AS attributes, array_agg(p.ciphertext) AS ciphertexts,
  array_agg(p.verified) AS verified,
  max(p.observed_at) FILTER (WHERE p.attribute = 'phone')::date AS phone_on
FROM account a
JOIN account_key k ON k.account_id = a.account_id
JOIN account_profile p ON p.account_id = a.account_id AND p.attribute NOT LIKE '%_as_given'
WHERE {which}
GROUP BY a.account_id, k.account_id
ORDER BY a.account_id"""
_NEXT = text(_PROFILES.format(which="a.account_id > :after") + " LIMIT :limit")
_THESE = text(_PROFILES.format(which="a.account_id = ANY (CAST(:accounts AS bigint[]))"))

Shared = frozenset[tuple[int, bytes]]
T = TypeVar("T")


@dataclass(slots=True)
class Sheet:
    """What the profiles of some accounts say, a list per column, in the order of their numbers."""

    accounts: list[int] = field(default_factory=list)
    businesses: list[int] = field(default_factory=list)
    walk_ins: list[bool] = field(default_factory=list)
    externals: list[str] = field(default_factory=list)
    phone_days: list[int] = field(default_factory=list)
    """The day on which the phone was last shown, counted from the year 1; 0: none was."""
    said: dict[HintType, list[str | None]] = field(
        default_factory=lambda: {hint: [] for hint in (*COLUMNS, HintType.OPENID)}
    )
    shown: dict[HintType, list[str | None]] = field(
        default_factory=lambda: {hint: [] for hint in IDENTIFYING}
    )
    """Identifiers that were verified, in the form in which they are compared."""
    changed_marks: list[int] = field(default_factory=list)
    """Tells whether an account says something else than it did."""

    def __len__(self) -> int:
        return len(self.accounts)

    def of(self, places: Iterable[int]) -> "Sheet":
        """Return a sheet of the accounts at these places."""
        kept = list(places)

        def some(column: list[T]) -> list[T]:
            return [column[place] for place in kept]

        return Sheet(
            accounts=some(self.accounts),
            businesses=some(self.businesses),
            walk_ins=some(self.walk_ins),
            externals=some(self.externals),
            phone_days=some(self.phone_days),
            said={hint: some(column) for hint, column in self.said.items()},
            shown={hint: some(column) for hint, column in self.shown.items()},
            changed_marks=some(self.changed_marks),
        )

    def table(self) -> Table:
        """Return the accounts as a table of people."""
        columns: dict[Field, list[Sequence[Any]]] = {
            one: [self.said[hint]] for hint, one in COLUMNS.items()
        }
        return with_fields(build(columns, len(self)), FIELDS)

    def marks(self, hint: HintType, marker: Marker) -> Marks:
        """Return the marks of verified identifiers of a kind; 0 for none."""
        return np.fromiter(
            (0 if v is None else marker.one(hint.value, v) for v in self.shown[hint]),
            np.uint64,
            len(self),
        )


def secret(keyring: Keyring) -> bytes:
    """Return the key under which values are marked: derived from the blind index's active one."""
    return HKDF(SHA256(), 32, None, b"hub.members.batch/1").derive(keyring.blind_index.current)


async def read_all(db: AsyncConnection, *, keyring: Keyring) -> Sheet:
    """Read the profiles of all accounts that have one."""
    shared, sheet, after = await _shared(db), Sheet(), 0
    while True:
        found = await db.execute(_NEXT, {"after": after, "limit": CHUNK_ACCOUNTS})
        rows = found.all()
        await asyncio.to_thread(_open, sheet, rows, keyring, shared)
        if len(rows) < CHUNK_ACCOUNTS:
            return sheet
        after = rows[-1].account_id


async def read_some(db: AsyncConnection, *, account_ids: Iterable[int], keyring: Keyring) -> Sheet:
    """Read the profiles of these accounts, those that have one."""
    shared, sheet, wanted = await _shared(db), Sheet(), sorted(set(account_ids))
    for start in range(0, len(wanted), CHUNK_ACCOUNTS):
        part = wanted[start : start + CHUNK_ACCOUNTS]
        rows = (await db.execute(_THESE, {"accounts": part})).all()
        await asyncio.to_thread(_open, sheet, rows, keyring, shared)
    return sheet


async def _shared(db: AsyncConnection) -> Shared:
    rows = await db.execute(
        text("SELECT kind, blind_index FROM shared_identifier WHERE released_at IS NULL")
    )
    return frozenset((row.kind, bytes(row.blind_index)) for row in rows)


def _open(sheet: Sheet, rows: Sequence[Any], keyring: Keyring, shared: Shared) -> None:
    """Add accounts to a sheet. Nobody else has the sheet meanwhile."""
    key = secret(keyring)
    for row in rows:
        data_key = fields.unwrap(keyring, row.wrapped, account_id=row.account_id)
        place = {"table": "account_profile", "row": str(row.account_id)}
        texts = {
            attribute: data_key.decrypt(ciphertext, column=attribute, **place)
            for attribute, ciphertext in zip(row.attributes, row.ciphertexts, strict=True)
        }
        proven = {a for a, verified in zip(row.attributes, row.verified, strict=True) if verified}
        _drop_shared(texts, keyring, shared)
        _add(sheet, row, texts, proven, key)


def _drop_shared(texts: dict[str, str], keyring: Keyring, shared: Shared) -> None:
    if not shared:
        return
    for hint, kind in _MAY_BE_SHARED.items():
        value = texts.get(hint.value)
        normal = None if value is None else _compared(hint, value)
        if normal is not None and any(
            (int(kind), digest) in shared for digest in identify(keyring, kind, normal).digests
        ):
            del texts[hint.value]


def _compared(hint: HintType, value: str) -> str | None:
    """An identifier as it is compared: emails are kept as they were written."""
    if hint is not HintType.EMAIL:
        return value
    local, _, domain = value.casefold().rpartition("@")
    return delivered(local, domain)


def _add(sheet: Sheet, row: Any, texts: dict[str, str], proven: set[str], key: bytes) -> None:
    sheet.accounts.append(row.account_id)
    sheet.businesses.append(row.business_id)
    sheet.walk_ins.append(row.walk_in)
    sheet.externals.append(row.external_id)
    for hint, column in sheet.said.items():
        column.append(texts.get(hint.value))
    for hint, column in sheet.shown.items():
        value = texts.get(hint.value) if hint.value in proven else None
        column.append(None if value is None else _compared(hint, value))
    shown = sheet.shown[HintType.PHONE][-1] is not None
    sheet.phone_days.append(_day(row.phone_on) if shown else 0)
    everything = "\x1f".join(_everything(sheet))
    signed = mark(key, "account", everything)
    sheet.changed_marks.append(signed - 2**64 if signed >= 2**63 else signed)


def _everything(sheet: Sheet) -> Iterator[str]:
    yield str(sheet.phone_days[-1])
    for column in (*sheet.said.values(), *sheet.shown.values()):
        yield column[-1] or ""


def _day(on: date) -> int:
    return on.toordinal()
