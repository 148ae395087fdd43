"""Take: what reserving and redeeming share: judge each voucher, then write all at once."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.answers import VoucherAnswer, checked_key, run
from hub.benefits.vouchers.codes import normalise
from hub.benefits.vouchers.judge import VoucherAsked, judge
from hub.benefits.vouchers.met import met
from hub.benefits.vouchers.points import give_points, lock_holders
from hub.benefits.vouchers.queries import Voucher, voucher_terms, vouchers_by_id
from hub.benefits.vouchers.redeem_one import redeem_one
from hub.benefits.vouchers.worth import Bill
from hub.crypto.keyring import Keyring
from hub.errors import Malformed
from hub.programme.queries import Business
from hub.units import MOST_MINOR

MOST_VOUCHERS = 20
Policy = Literal["all_or_nothing", "skip_invalid"]


async def take(
    db: AsyncConnection,
    *,
    kind: Literal["reserve", "redeem"],
    business: Business,
    vouchers: Sequence[VoucherAsked],
    bill: Bill,
    policy: Policy,
    member_id: int | None,
    idempotency_key: str,
    expires_at: datetime | None,
    business_date: date,
    now: datetime,
    keyring: Keyring,
    asked: dict[str, object],
) -> VoucherAnswer:
    """Reserve or redeem vouchers together; see `reserve` and `redeem`."""
    checked_key(idempotency_key)
    _check(vouchers, bill)
    asked = {"member_id": member_id, "bill_minor": _told(bill), "policy": policy, **asked}
    if kind == "redeem" and len(vouchers) == 1:
        done = await redeem_one(
            db,
            business=business,
            voucher=vouchers[0],
            bill=bill,
            member_id=member_id,
            idempotency_key=idempotency_key,
            business_date=business_date,
            now=now,
            asked=asked,
        )
        if done is not None:
            return done
    found = await _find(db, vouchers, now=now, keyring=keyring)
    # Codes are not kept: a voucher is told by its number, a code that leads nowhere by none.
    asked["vouchers"] = [
        [one and one.voucher_id, each.amount_minor]
        for each, one in zip(vouchers, found, strict=True)
    ]
    _once(found)
    known = [voucher for voucher in found if voucher is not None]
    met(db).meet(voucher.terms for voucher in known)
    gives = kind == "redeem" and any(one.terms.points is not None for one in known)
    if gives:
        ids = [voucher.voucher_id for voucher in known]
        await lock_holders(db, voucher_ids=ids, member_id=member_id)
    items = judge(vouchers, found, bill, business=business, member_id=member_id, now=now)
    answer = await run(
        db,
        """voucher_take(:kind, CAST(:business_id AS smallint), :key, :member_id,
          CAST(:asked AS jsonb), :all, CAST(:items AS jsonb), CAST(:expires_at AS timestamptz),
          :business_date, CAST(:now AS timestamptz))""",
        {
            "kind": kind,
            "business_id": business.business_id,
            "key": idempotency_key,
            "member_id": member_id,
            "all": policy == "all_or_nothing",
            "items": orjson.dumps(items).decode(),
            "expires_at": expires_at,
            "business_date": business_date,
            "now": now,
        },
        kind=kind,
        asked=asked,
    )
    if gives:
        await give_points(db, answer, business_date=business_date, now=now)
    return answer


def _told(bill: Bill) -> list[object]:
    return [
        bill.amount_minor,
        bill.currency,
        bill.delivery_minor,
        bill.outlet,
        dict(bill.categories),
    ]


async def _find(
    db: AsyncConnection, vouchers: Sequence[VoucherAsked], *, now: datetime, keyring: Keyring
) -> list[Voucher | None]:
    """Return each voucher that is asked for; None for one that is not there."""
    codes = [each.code for each in vouchers if each.code is not None]
    by_code = await voucher_terms(db, codes=codes, keyring=keyring, now=now)
    ids = [each.voucher_id for each in vouchers if each.voucher_id is not None]
    by_id = await vouchers_by_id(db, voucher_ids=ids, now=now) if ids else {}
    return [
        by_code.get(each.code) if each.code is not None else by_id.get(each.voucher_id or 0)
        for each in vouchers
    ]


def _check(vouchers: Sequence[VoucherAsked], bill: Bill) -> None:
    if not 1 <= len(vouchers) <= MOST_VOUCHERS:
        raise Malformed(f"give from 1 to {MOST_VOUCHERS} vouchers", field="vouchers")
    money = {"bill_minor": bill.amount_minor, "delivery_minor": bill.delivery_minor}
    money |= dict.fromkeys(("categories",), max(bill.categories.values(), default=0))
    for field, amount in money.items():
        if not 0 <= amount <= MOST_MINOR:
            raise Malformed(f"{field} must be from 0 to {MOST_MINOR} minor units", field=field)
    if min(bill.categories.values(), default=0) < 0:
        raise Malformed("no category's amount is below 0", field="categories")
    if bill.delivery_minor > bill.amount_minor:
        raise Malformed("delivery is part of the bill", field="delivery_minor")
    for each in vouchers:
        if (each.code is None) == (each.voucher_id is None):
            raise Malformed("give each voucher's code or its number", field="vouchers")
        if each.code is not None:
            normalise(each.code)
        if each.amount_minor is not None and not 0 <= each.amount_minor <= bill.amount_minor:
            raise Malformed("a voucher takes off from 0 to the whole bill", field="vouchers")


def _once(found: Sequence[Voucher | None]) -> None:
    known = [voucher.voucher_id for voucher in found if voucher is not None]
    if len(set(known)) != len(known):
        raise Malformed("a voucher is named twice", field="vouchers")
