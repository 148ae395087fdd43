"""Reads of vouchers: what a code stands for, what a member has, what campaigns there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.codes import normalise
from hub.benefits.vouchers.key import known_key
from hub.benefits.vouchers.terms import TERMS_COLUMNS, VoucherTerms, terms_of
from hub.crypto.keyring import Keyring
from hub.db.keyset import Column, Keyset, Stretch, page_of


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


# What is kept by a reservation whose time is over is free already, swept or not.
_HELD = """
CASE WHEN v.held = 0 THEN 0 ELSE coalesce((SELECT sum(h.quantity) FROM voucher_hold h
  WHERE h.voucher_id = v.voucher_id AND h.open AND h.expires_at > :now), 0)::bigint END"""
_STATE = f"""
CASE WHEN v.state = 2 THEN 'voided' WHEN v.used = v.granted THEN 'used_up'
  WHEN v.state = 1 OR v.ends_at <= :now THEN 'expired' WHEN {_HELD} > 0 THEN 'reserved'
  WHEN v.member_id IS NULL THEN 'issued' ELSE 'assigned' END"""
_VOUCHER = f"""
SELECT v.voucher_id, v.member_id, v.assigned_at, v.ends_at, v.granted, {_HELD} AS held, v.used,
  v.digest,
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


VOUCHERS = Keyset((Column("voucher_id", int, "v.voucher_id"),), descending=True)
"""The latest first."""
ENDING = Keyset(
    (Column("ends_at", datetime, "v.ends_at"), Column("voucher_id", int, "v.voucher_id"))
)


class VoucherPage(NamedTuple):
    """Which of a member's vouchers are asked for, by `order`: those in `states` (none: in all).

    `business_id` leaves out what cannot be used there, `campaign` all others' but its.
    """

    stretch: Stretch
    states: tuple[str, ...] = ()
    business_id: int | None = None
    campaign: str | None = None
    order: Keyset = VOUCHERS


async def member_vouchers(
    db: AsyncConnection, *, member_ids: Sequence[int], page: VoucherPage, now: datetime
) -> dict[int, list[Voucher]]:
    """Return a page of each member's vouchers, by member."""
    found: dict[int, list[Voucher]] = {member_id: [] for member_id in member_ids}
    order, stretch = page.order, page.stretch
    rows = await db.execute(
        text(f"""
          SELECT p.* FROM unnest(CAST(:member_ids AS bigint[])) AS a (id)
          CROSS JOIN LATERAL ({_VOUCHER} WHERE v.member_id = a.id AND {order.between(stretch)}
            AND (:all OR {_STATE} = ANY (CAST(:states AS text[])))
            AND (CAST(:business_id AS smallint) IS NULL OR :business_id = ANY (t.businesses))
            AND (CAST(:campaign AS text) IS NULL OR c.code = :campaign)
            ORDER BY {order.order(stretch)} LIMIT :limit) p"""),  # noqa: S608
        {
            "member_ids": list(member_ids),
            "all": not page.states,
            "states": list(page.states),
            "business_id": page.business_id,
            "now": now,
            "campaign": page.campaign,
            "limit": stretch.limit,
            **order.facts(stretch),
        },
    )
    for row in rows:
        found[row.member_id].append(_voucher(row))
    return found


_IN_FORCE = f"""
SELECT DISTINCT ON (c.code) {TERMS_COLUMNS}
FROM voucher_terms t JOIN voucher_campaign c USING (campaign_id)
WHERE t.effective_from <= :now AND (CAST(:code AS text) IS NULL OR c.code = :code)
ORDER BY c.code, t.effective_from DESC"""  # noqa: S608 - a constant of ours
CAMPAIGNS = Keyset((Column("campaign_code", str),))
"""By code."""
BY_BEGIN = Keyset((Column("valid_from", datetime), *CAMPAIGNS.columns))
BY_END = Keyset((Column("valid_until", datetime), *CAMPAIGNS.columns))
_CAMPAIGN_FILTERS = {
    "own_id": "(:own_id = ANY (businesses) OR :own_id = funder_id)",
    "business_id": ":business_id = ANY (businesses)",
    "funder_id": "funder_id = :funder_id",
    "kinds": "kind = ANY (CAST(:kinds AS text[]))",
    "currency": "currency = :currency",
    "benefit": "benefit = :benefit",
    "valid_at": "valid_from <= :valid_at AND valid_until > :valid_at",
}


async def campaign_terms(db: AsyncConnection, *, now: datetime, code: str) -> list[VoucherTerms]:
    """Return the terms that new vouchers of a campaign are issued under now, if there is one."""
    return [terms_of(row) for row in await db.execute(text(_IN_FORCE), {"now": now, "code": code})]


async def campaign_page(
    db: AsyncConnection,
    *,
    now: datetime,
    only: Mapping[str, Any],
    stretch: Stretch,
    order: Keyset = CAMPAIGNS,
) -> list[VoucherTerms]:
    """Return the terms of campaigns, by CAMPAIGNS unless asked otherwise; `only` says which.

    Those of `own_id` a business takes or pays for.
    """
    ending, facts = page_of(order, stretch, only=only, filters=_CAMPAIGN_FILTERS)
    query = text(f"SELECT * FROM ({_IN_FORCE}) t {ending}")  # noqa: S608 - constants of ours
    rows = await db.execute(query, {"now": now, "code": None, **facts})
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


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherNotice:
    """What a member was told: that a voucher ends at `ends_at`, `days_ahead` (7 or 1) before."""

    member_id: int
    voucher_id: int
    name: str
    name_zh: str
    ends_at: datetime
    days_ahead: int
    given_at: datetime


async def voucher_notices(
    db: AsyncConnection, *, member_ids: Sequence[int], now: datetime
) -> dict[int, list[VoucherNotice]]:
    """Return the latest notice of each voucher that still ends then, soonest first, by member.

    What is used up, given away, voided or was given more time since is not told of any more.
    """
    found: dict[int, list[VoucherNotice]] = {member_id: [] for member_id in member_ids}
    rows = await db.execute(
        text("""
          SELECT DISTINCT ON (v.member_id, v.ends_at, v.voucher_id) v.member_id, v.voucher_id,
            t.name, t.name_zh, v.ends_at, n.days_ahead, n.given_at
          FROM voucher v JOIN voucher_notice n USING (voucher_id, ends_at)
          JOIN voucher_terms t USING (terms_id)
          WHERE v.member_id = ANY (CAST(:member_ids AS bigint[])) AND v.state = 0
            AND v.ends_at > :now AND v.used < v.granted
          ORDER BY v.member_id, v.ends_at, v.voucher_id, n.days_ahead"""),
        {"member_ids": list(member_ids), "now": now},
    )
    for row in rows:
        found[row.member_id].append(VoucherNotice(**row._asdict()))
    return found
