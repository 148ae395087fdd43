"""Assign: give a member a new voucher of a campaign."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.key import code_key
from hub.benefits.vouchers.queries import Voucher, campaign_terms, vouchers_by_id
from hub.benefits.vouchers.terms import VoucherTerms
from hub.crypto.keyring import Keyring
from hub.errors import Conflict, Malformed, NotFound, Rejected

_LONGEST_SOURCE = 200
_DRAWS = 5


class VoucherLimitReached(Rejected):
    """The campaign gives a member no more vouchers."""

    code = "limit_reached"


async def assign_voucher(
    db: AsyncConnection,
    *,
    campaign_code: str,
    member_id: int,
    source: str,
    source_id: str,
    now: datetime,
    keyring: Keyring,
    actor: str | None = None,
    reason: str | None = None,
) -> Voucher:
    """Issue a voucher under the terms in force and give it to the member, once per source.

    `source` says what gives it (`occasion`, `reward`, `plan`, `staff` …) and `source_id` which
    time that is: the same again returns the voucher that was given. Raises NotFound for a member
    or campaign that is not there, Rejected when the campaign is over, VoucherLimitReached,
    Conflict, naming the field, when that source gave another voucher.
    """
    if not (1 <= len(source) <= _LONGEST_SOURCE and 1 <= len(source_id) <= _LONGEST_SOURCE):
        raise Malformed(
            f"source and source_id have from 1 to {_LONGEST_SOURCE} characters", field="source_id"
        )
    # One at a time for each source: whoever comes second finds what the first one gave.
    await db.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('voucher_source/' || :key, 0))"),
        {"key": f"{source}/{source_id}"},
    )
    before = await _given(db, source, source_id, member_id=member_id, campaign_code=campaign_code)
    if before is not None:
        return (await vouchers_by_id(db, voucher_ids=[before], now=now))[before]
    found = []
    if campaign_code.isprintable():
        found = await campaign_terms(db, now=now, code=campaign_code)
    if not found:
        raise NotFound(f"no campaign {campaign_code!r} is in force", field="campaign")
    terms = found[0]
    if terms.valid_until <= now:
        raise Rejected(
            f"vouchers of {campaign_code} ended on {terms.valid_until:%Y-%m-%d}: apply new terms",
            field="campaign",
        )
    who = await present_member(db, member_id=member_id)
    await refuse_more(db, terms=terms, member_id=who)
    voucher_id = await _issue(db, terms, member_id=who, source=(source, source_id), now=now,
                              keyring=keyring)  # fmt: skip
    await db.execute(
        text("""
          INSERT INTO voucher_entry (voucher_id, member_id, kind, occurred_at, actor, reason)
          VALUES (:voucher_id, :member_id, 'assigned', :now, :actor, :reason)"""),
        {"voucher_id": voucher_id, "member_id": who, "now": now, "actor": actor, "reason": reason},
    )
    return (await vouchers_by_id(db, voucher_ids=[voucher_id], now=now))[voucher_id]


async def present_member(db: AsyncConnection, *, member_id: int) -> int:
    """Return who the member is now and keep it from being merged meanwhile; raises NotFound."""
    row = (
        await db.execute(
            text("""
              SELECT m.member_id, m.erased_at FROM member m WHERE m.member_id = (
                SELECT coalesce(o.merged_into, o.member_id) FROM member o
                WHERE o.member_id = :member_id) FOR SHARE"""),
            {"member_id": member_id},
        )
    ).first()
    if row is None or row.erased_at is not None:
        raise NotFound(f"there is no member {member_id}", field="member_id")
    return int(row.member_id)


async def refuse_more(db: AsyncConnection, *, terms: VoucherTerms, member_id: int) -> None:
    """Raise VoucherLimitReached where the member has all that the campaign gives one."""
    over = await db.scalar(
        text("SELECT voucher_over_limit(:terms_id, :member_id)"),
        {"terms_id": terms.terms_id, "member_id": member_id},
    )
    if over:
        raise VoucherLimitReached(
            f"a member has at most {terms.per_member} vouchers of {terms.campaign_code}",
            limit=terms.per_member,
        )


async def _given(
    db: AsyncConnection, source: str, source_id: str, *, member_id: int, campaign_code: str
) -> int | None:
    """Return the voucher that this source gave, if it did; raises Conflict."""
    row: Row[Any] | None = (
        await db.execute(
            text("""
              SELECT v.voucher_id, c.code, v.birth_id, EXISTS (SELECT 1 FROM voucher_entry e
                WHERE e.voucher_id = v.voucher_id AND e.kind = 'assigned'
                  AND e.member_id = ANY (ledger_kin(ARRAY[CAST(:member_id AS bigint)]))) AS same
              FROM voucher v JOIN voucher_terms t USING (terms_id)
              JOIN voucher_campaign c USING (campaign_id)
              WHERE v.source = :source AND v.source_id = :source_id"""),
            {"source": source, "source_id": source_id, "member_id": member_id},
        )
    ).first()
    if row is None:
        return None
    for field, same in (("campaign", row.code == campaign_code), ("member_id", row.same)):
        if not same:
            raise Conflict(
                f"{source} {source_id} gave another voucher before (its {field} differs)",
                field=field,
            )
    voucher_id: int = row.voucher_id
    return voucher_id


async def _issue(
    db: AsyncConnection,
    terms: VoucherTerms,
    *,
    member_id: int,
    source: tuple[str, str],
    now: datetime,
    keyring: Keyring,
) -> int:
    """Insert a voucher; where its code is taken, another one is drawn."""
    key = await code_key(db, keyring=keyring)
    for _ in range(_DRAWS):
        number: int = await db.scalar(text("SELECT nextval('voucher_id')")) or 0
        issued = await db.scalar(
            text("""
              INSERT INTO voucher (voucher_id, terms_id, granted, digest, member_id, birth_id,
                assigned_at, ends_at, source, source_id)
              VALUES (:voucher_id, :terms_id, :granted, :digest, :member_id, :member_id, :now,
                voucher_end(:terms_id, CAST(:now AS timestamptz)), :source, :source_id)
              ON CONFLICT (digest) DO NOTHING RETURNING voucher_id"""),
            {
                "voucher_id": number,
                "terms_id": terms.terms_id,
                "granted": terms.granted,
                "digest": key.digest(key.code(number)),
                "member_id": member_id,
                "now": now,
                "source": source[0],
                "source_id": source[1],
            },
        )
        if issued is not None:
            return int(issued)
    raise RuntimeError("every code that is drawn is taken: the key makes none")
