"""Redeem one: a single voucher that a member has, in one round trip, if its terms were met."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.answers import VoucherAnswer, answer_of
from hub.benefits.vouchers.codes import normalise
from hub.benefits.vouchers.judge import VoucherAsked, judge
from hub.benefits.vouchers.met import Met, met
from hub.benefits.vouchers.queries import Voucher, VoucherState
from hub.benefits.vouchers.terms import VoucherTerms
from hub.benefits.vouchers.worth import Bill
from hub.programme.queries import Business

_REDEEM = text("""
SELECT f.voucher_id, f.replayed, (f.r).*
FROM voucher_redeem_one(CAST(:business_id AS smallint), :key, :member_id, CAST(:sealed AS bytea),
  CAST(:digest AS bytea), CAST(:voucher_id AS bigint), CAST(:terms AS text[]),
  CAST(:quantities AS bigint[]), CAST(:amounts AS bigint[]), CAST(:prices AS bigint[]),
  CAST(:asked AS jsonb), CAST(:said AS bigint), :business_date, CAST(:now AS timestamptz)) f
""")
_ANY_MEMBER = 0


async def redeem_one(
    db: AsyncConnection,
    *,
    business: Business,
    voucher: VoucherAsked,
    bill: Bill,
    member_id: int | None,
    idempotency_key: str,
    business_date: date,
    now: datetime,
    asked: Mapping[str, object],
) -> VoucherAnswer | None:
    """Redeem a voucher of terms that were met before; None: it was not, and nothing is done.

    What is declined, gives points, belongs to nobody yet or is counted by a value that the till
    does not name takes the long way. Raises Conflict as `take` does.
    """
    known = met(db)
    if voucher.code is None and member_id is None:
        return None
    if voucher.code is not None and known.key is None:
        return None
    takes = _judged(known, voucher, bill, business=business, member_id=member_id, now=now)
    if not takes:
        return None
    digest = None
    if voucher.code is not None and known.key is not None:
        digest = known.key.digest(normalise(voucher.code))
    row = (
        await db.execute(
            _REDEEM,
            {
                "business_id": business.business_id,
                "key": idempotency_key,
                "member_id": member_id,
                "sealed": known.sealed,
                "digest": digest,
                "voucher_id": voucher.voucher_id,
                "terms": list(takes),
                "quantities": [one["quantity"] for one in takes.values()],
                "amounts": [one["amount"] for one in takes.values()],
                "prices": [one["price"] for one in takes.values()],
                "asked": orjson.dumps(asked).decode(),
                "said": voucher.amount_minor,
                "business_date": business_date,
                "now": now,
            },
        )
    ).first()
    if row is None:
        return None
    same = {**asked, "vouchers": [[row.voucher_id, voucher.amount_minor]]}
    return answer_of(row, kind="redeem", asked=same)


def _judged(
    known: Met, voucher: VoucherAsked, bill: Bill, *, business: Business, member_id: int | None,
    now: datetime,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Return what the voucher takes off the bill if it is of these terms, by their version."""
    takes = {}
    for version, terms in known.terms.items():
        if terms.points is not None:
            continue
        [item] = judge(
            [voucher], [_of(terms, member_id)], bill,
            business=business, member_id=member_id, now=now,
        )  # fmt: skip
        if item["refusal"] is None and item["exact"]:
            takes[version] = item
    return takes


def _of(terms: VoucherTerms, member_id: int | None) -> Voucher:
    """Return a voucher of these terms that nothing was taken of, and that somebody has."""
    return Voucher(
        voucher_id=0,
        member_id=_ANY_MEMBER if member_id is None else member_id,
        assigned_at=None,
        ends_at=terms.valid_until,
        granted=terms.granted,
        held=0,
        used=0,
        state=VoucherState.ASSIGNED,
        terms=terms,
    )
