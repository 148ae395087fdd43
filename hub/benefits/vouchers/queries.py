"""Reads of vouchers: what a code stands for, what a member has, what campaigns there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.codes import normalise
from hub.benefits.vouchers.key import known_key
from hub.benefits.vouchers.terms import TERMS_COLUMNS, VoucherTerms, terms_of
from hub.crypto.keyring import Keyring


class VoucherState(StrEnum):
    """Where a voucher stands."""

    ISSUED = "issued"
    ASSIGNED = "assigned"
    RESERVED = "reserved"
    USED_UP = "used_up"
    EXPIRED = "expired"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """A voucher as it stands. `left` is what is neither used nor reserved.

    `granted`, `held`, `used` and `left` are uses, or minor units where `terms.by_value`.
    `ends_at` is the first instant at which it is no longer valid.
    """

    voucher_id: int
    member_id: int | None
    assigned_at: datetime | None
    ends_at: datetime
    granted: int
    held: int
    used: int
    state: VoucherState
    terms: VoucherTerms

    @property
    def left(self) -> int:
        """What may still be taken of it."""
        return self.granted - self.held - self.used


_STATE = """
CASE WHEN v.state = 2 THEN 'voided' WHEN v.used = v.granted THEN 'used_up'
  WHEN v.state = 1 OR v.ends_at <= :now THEN 'expired' WHEN v.held > 0 THEN 'reserved'
  WHEN v.member_id IS NULL THEN 'issued' ELSE 'assigned' END"""
_VOUCHER = f"""
SELECT v.voucher_id, v.member_id, v.assigned_at, v.ends_at, v.granted, v.held, v.used, v.digest,
  {_STATE} AS standing, {TERMS_COLUMNS}
FROM voucher v JOIN voucher_terms t USING (terms_id) JOIN voucher_campaign c USING (campaign_id)
"""  # noqa: S608 - constants of ours


def _voucher(row: Row[Any]) -> Voucher:
    return Voucher(
        voucher_id=row.voucher_id,
        member_id=row.member_id,
        assigned_at=row.assigned_at,
        ends_at=row.ends_at,
        granted=row.granted,
        held=row.held,
        used=row.used,
        state=VoucherState(row.standing),
        terms=terms_of(row),
    )


async def voucher_terms(
    db: AsyncConnection, *, codes: Sequence[str], keyring: Keyring, now: datetime
) -> dict[str, Voucher]:
    """Return the vouchers that codes stand for, by the code as it was given.

    A code that was never issued is left out. Raises Malformed for what cannot be a code.
    """
    normal = {typed: normalise(typed) for typed in codes}
    key = await known_key(db, keyring=keyring) if normal else None
    if key is None:
        return {}
    digests = {typed: key.digest(code) for typed, code in normal.items()}
    rows = await db.execute(
        text(f"{_VOUCHER} WHERE v.digest = ANY (CAST(:digests AS bytea[]))"),
        {"digests": list(digests.values()), "now": now},
    )
    found = {bytes(row.digest): _voucher(row) for row in rows}
    return {typed: found[digest] for typed, digest in digests.items() if digest in found}


async def vouchers_by_id(
    db: AsyncConnection, *, voucher_ids: Sequence[int], now: datetime
) -> dict[int, Voucher]:
    """Return vouchers by number; those that are not there are left out."""
    rows = await db.execute(
        text(f"{_VOUCHER} WHERE v.voucher_id = ANY (CAST(:ids AS bigint[]))"),
        {"ids": list(voucher_ids), "now": now},
    )
    return {row.voucher_id: _voucher(row) for row in rows}


async def member_vouchers(
    db: AsyncConnection,
    *,
    member_id: int,
    states: Sequence[VoucherState],
    now: datetime,
    limit: int,
    after: int | None = None,
) -> list[Voucher]:
    """Return the member's vouchers in these states (none: in all), the latest first.

    `after` is the last one of the page before.
    """
    rows = await db.execute(
        text(f"""
          {_VOUCHER} WHERE v.member_id = :member_id AND v.voucher_id < :after
            AND (:all OR {_STATE} = ANY (CAST(:states AS text[])))
          ORDER BY v.voucher_id DESC LIMIT :limit"""),
        {
            "member_id": member_id,
            "after": 2**63 - 1 if after is None else after,
            "all": not states,
            "states": list(states),
            "now": now,
            "limit": limit,
        },
    )
    return [_voucher(row) for row in rows]


async def campaign_terms(
    db: AsyncConnection, *, now: datetime, code: str | None = None
) -> list[VoucherTerms]:
    """Return the terms that new vouchers are issued under now, by campaign; of `code` alone."""
    rows = await db.execute(
        text(f"""
          SELECT DISTINCT ON (c.code) {TERMS_COLUMNS}
          FROM voucher_terms t JOIN voucher_campaign c USING (campaign_id)
          WHERE t.effective_from <= :now AND (CAST(:code AS text) IS NULL OR c.code = :code)
          ORDER BY c.code, t.effective_from DESC"""),  # noqa: S608 - a constant of ours
        {"now": now, "code": code},
    )
    return [terms_of(row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherEntry:
    """What happened to a voucher. `held` and `used` say by how much these changed.

    `amount_minor` is what was taken off a bill, negative where it was cancelled; `member_id` whose
    the voucher then was, of a transfer the giver.
    """

    voucher_id: int
    entry_id: int
    kind: str
    held: int
    used: int
    amount_minor: int
    occurred_at: datetime
    business_id: int | None
    member_id: int | None
    receiver_id: int | None
    undoes: int | None
    reason: str | None


async def voucher_entries(
    db: AsyncConnection, *, voucher_ids: Sequence[int]
) -> dict[int, list[VoucherEntry]]:
    """Return what happened to vouchers, in order, by voucher."""
    found: dict[int, list[VoucherEntry]] = {voucher_id: [] for voucher_id in voucher_ids}
    rows = await db.execute(
        text(f"""
          SELECT {", ".join(VoucherEntry.__slots__)} FROM voucher_entry
          WHERE voucher_id = ANY (CAST(:ids AS bigint[])) ORDER BY voucher_id, entry_id"""),  # noqa: S608
        {"ids": list(voucher_ids)},
    )
    for row in rows:
        found[row.voucher_id].append(VoucherEntry(**row._asdict()))
    return found
