"""Take: what reserving and redeeming share: judge each voucher, then write all at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.answers import VoucherAnswer, checked_key, run
from hub.benefits.vouchers.codes import normalise
from hub.benefits.vouchers.points import give_points, lock_holders
from hub.benefits.vouchers.queries import Voucher, voucher_terms, vouchers_by_id
from hub.benefits.vouchers.terms import VoucherKind, VoucherTerms
from hub.benefits.vouchers.worth import Bill, Verdict, eligible, refusal, worth
from hub.crypto.keyring import Keyring
from hub.errors import Malformed
from hub.members.queries import lock_current_member
from hub.programme.queries import Business
from hub.units import MOST_MINOR, share_by_largest_remainder

MOST_VOUCHERS = 20
_LONGEST_NAME = 200
Policy = Literal["all_or_nothing", "skip_invalid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherAsked:
    """A voucher of a request: by its code, or by its number where the member is known.

    `amount_minor` is what it is to take off the bill; None: what it is worth on what is left of
    the bill after those before it. `weighed`: a quote has found that amount line by line, and what
    is left of categories does not judge it once more.
    """

    code: str | None = None
    voucher_id: int | None = None
    amount_minor: int | None = None
    weighed: bool = False


class _Left:
    """What of a bill, of its categories and its delivery the vouchers before have left."""

    def __init__(self, bill: Bill) -> None:
        self._bill = bill
        self._minor = bill.amount_minor
        self._delivery_minor = bill.delivery_minor
        self._categories = dict(bill.categories)

    def room(self, terms: VoucherTerms) -> int:
        """Return how much of what the voucher is for is left."""
        if terms.kind is VoucherKind.DELIVERY:
            return min(self._minor, self._delivery_minor)
        room = min(self._minor, eligible(terms, self._bill))
        if terms.categories:
            room = min(room, sum(self._categories.get(each, 0) for each in set(terms.categories)))
        return room

    def take(self, terms: VoucherTerms, amount_minor: int) -> None:
        """Take a voucher's amount off what it is for: off categories, in proportion."""
        self._minor -= amount_minor
        if terms.kind is VoucherKind.DELIVERY:
            self._delivery_minor -= amount_minor
        of = sorted(set(terms.categories) & self._categories.keys())
        left = [self._categories[each] for each in of]
        if sum(left):
            parts = share_by_largest_remainder(min(amount_minor, sum(left)), left)
            for each, part in zip(of, parts, strict=True):
                self._categories[each] -= part


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
    asked = {
        "member_id": member_id,
        "bill_minor": [
            bill.amount_minor,
            bill.currency,
            bill.delivery_minor,
            bill.outlet,
            dict(bill.categories),
        ],
        "policy": policy,
        **asked,
    }
    found = await _find(db, vouchers, now=now, keyring=keyring)
    # Codes are not kept: a voucher is told by its number, a code that leads nowhere by none.
    asked["vouchers"] = [
        [one and one.voucher_id, each.amount_minor]
        for each, one in zip(vouchers, found, strict=True)
    ]
    _once(found)
    known = [voucher for voucher in found if voucher is not None]
    skips = policy == "skip_invalid" and len(vouchers) > 1
    gives = kind == "redeem" and any(one.terms.points is not None for one in known)
    gone = {}
    if skips or gives:
        gone = await _lock(db, known, member_id=member_id, now=now, balances=gives)
    items = _judge(
        vouchers, found, bill, business=business, member_id=member_id, now=now, gone=gone
    )
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


async def _lock(
    db: AsyncConnection,
    known: Sequence[Voucher],
    *,
    member_id: int | None,
    now: datetime,
    balances: bool,
) -> dict[int, Verdict]:
    """Lock the member, balances that points go to, and vouchers; return why some are of no use.

    Where the others are used all the same, what is not there must take nothing from them.
    """
    ids = [one.voucher_id for one in known]
    facts = {"ids": ids, "member_id": member_id, "now": now}
    if member_id is not None:
        # First, as whoever merges members takes them.
        await lock_current_member(db, member_id=member_id)
    if balances:
        await lock_holders(db, voucher_ids=ids, member_id=member_id)
    await db.execute(text("SELECT voucher_lock(CAST(:ids AS bigint[]))"), facts)
    await db.execute(
        text("SELECT voucher_lapse(CAST(:ids AS bigint[]), CAST(:now AS timestamptz))"), facts
    )
    rows = await db.execute(
        text("""
          SELECT voucher_id, voucher_refusal(v, (SELECT coalesce(m.merged_into, m.member_id)
              FROM member m WHERE m.member_id = :member_id), 1, true, '{}',
            CAST(:now AS timestamptz)) AS why
          FROM voucher v WHERE voucher_id = ANY (CAST(:ids AS bigint[]))"""),
        facts,
    )
    return {row.voucher_id: Verdict(row.why) for row in rows if row.why is not None}


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
    for field, name in (("outlet", bill.outlet), *(("categories", one) for one in bill.categories)):
        if name is not None and not (len(name) <= _LONGEST_NAME and name.isprintable()):
            raise Malformed(f"a name has up to {_LONGEST_NAME} printable characters", field=field)
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


def _judge(
    vouchers: Sequence[VoucherAsked],
    found: Sequence[Voucher | None],
    bill: Bill,
    *,
    business: Business,
    member_id: int | None,
    now: datetime,
    gone: Mapping[int, Verdict],
) -> list[dict[str, Any]]:
    """Return what voucher_take asks for: each voucher with what it would take, or why not."""
    items: list[dict[str, Any]] = []
    left = _Left(bill)
    groups: set[str] = set()
    several = len(vouchers) > 1
    for each, voucher in zip(vouchers, found, strict=True):
        if voucher is None:
            items.append({"id": None, "refusal": Verdict.UNKNOWN})
            continue
        terms = voucher.terms
        no = refusal(terms, bill, business_id=business.business_id,
                     time_zone=business.time_zone, at=now)  # fmt: skip
        if each.code is None and (member_id is None or voucher.member_id is None):
            no = Verdict.NOT_YOURS  # a number is no proof of anything
        if no is None and terms.points and member_id is None and voucher.member_id is None:
            no = Verdict.MEMBER_REQUIRED
        no = no or gone.get(voucher.voucher_id)
        if no is None and ((terms.alone and several) or terms.stacking_group in groups):
            no = Verdict.NOT_STACKABLE
        amount, refused = _amount(each, voucher, left.room(terms))
        no = no or refused
        if no is None:
            left.take(terms, amount)
            if terms.stacking_group is not None:
                groups.add(terms.stacking_group)
        items.append(
            {
                "id": voucher.voucher_id,
                "refusal": no,
                "quantity": amount if terms.by_value else 1,
                "exact": not terms.by_value or each.amount_minor is not None,
                "amount": amount,
                "price": amount if terms.price_minor is None else terms.price_minor,
            }
        )
    return items


def _amount(each: VoucherAsked, voucher: Voucher, room: int) -> tuple[int, Verdict | None]:
    """Return what a voucher is to take off a bill of which `room` is left, or why it cannot."""
    terms = voucher.terms
    most = worth(terms, room, left=voucher.granted - voucher.used)
    amount = most if each.amount_minor is None else each.amount_minor
    if amount > most and not each.weighed:
        return amount, Verdict.AMOUNT_TOO_HIGH
    if amount == 0 and terms.kind not in (VoucherKind.GIFT, VoucherKind.POINTS):
        return amount, Verdict.NOTHING_TO_TAKE
    return amount, None
