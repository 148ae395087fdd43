"""Refund a cart, all of it or some units of its lines: what was used for them comes back."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.asked import Counter, checked_key
from hub.benefits.carts.baskets import (
    OLD_PREFIX,
    Basket,
    OfferPart,
    find_basket,
    keep_offer_parts,
    offer_parts,
)
from hub.benefits.carts.giving_back import give_back
from hub.benefits.carts.views import CartRefund, CartRefusal, pack, unpack_refund
from hub.errors import Conflict, Malformed, Rejected
from hub.units import share_by_largest_remainder

Lines = Mapping[str, int]
_OF = {"refund_key": "basket", "lines": "lines"}


async def refund_cart(
    db: AsyncConnection,
    *,
    counter: Counter,
    key: str,
    refund_key: str,
    lines: Lines | None = None,
) -> CartRefund:
    """Refund so many units of each of `lines`, by the line's id (None: all that is left).

    A unit's share of what each voucher, benefit and point paid for its line comes back; what is
    left of a line is shared in proportion, to the cent, so that refunds of all its units in any
    order give back exactly what was used. `refund_key` makes it one. Declines (not_redeemed,
    too_many) are answers, kept under the key. Raises Rejected for a basket that is not there,
    Conflict and Malformed, naming the field.
    """
    checked_key(key)
    checked_key(refund_key, field="refund_key")
    if lines is not None and (not lines or min(lines.values()) <= 0):
        raise Malformed("name at least one line, and one unit or more of each", field="lines")
    basket = await find_basket(db, counter=counter, key=key)
    if basket is None:
        raise Rejected("nothing was redeemed under this key", field="key")
    asked = None if lines is None else dict(sorted(lines.items()))
    before = await _before(db, counter, basket, refund_key, asked)
    if before is not None:
        return before
    found = await _refund(db, counter, basket, refund_key, lines)
    await db.execute(
        text("""
          INSERT INTO till_refund (business_id, idempotency_key, basket_id, at, asked, answer)
          VALUES (:business_id, :key, :basket_id, :now, CAST(:asked AS jsonb),
            CAST(:answer AS jsonb))"""),
        {
            "business_id": counter.business.business_id,
            "key": refund_key,
            "basket_id": basket.basket_id,
            "now": counter.now,
            "asked": orjson.dumps({"lines": asked}).decode(),
            "answer": pack(found),
        },
    )
    return found


async def _before(
    db: AsyncConnection, counter: Counter, basket: Basket, refund_key: str, lines: Lines | None
) -> CartRefund | None:
    """Return what was answered under the key; two baskets cannot share one."""
    business_id = counter.business.business_id
    await db.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('till_refund', :business_id)"
             " # hashtextextended(:key, 0))"),
        {"business_id": business_id, "key": refund_key},
    )  # fmt: skip
    # What GraphQL refunded when its keys were its own names the basket as it is kept.
    row = (
        await db.execute(
            text("""
              SELECT basket_id, asked, answer FROM till_refund
              WHERE business_id = :business_id AND idempotency_key IN (:key, :old)
                AND (idempotency_key = :key OR starts_with(asked ->> 'key', :prefix))
              ORDER BY (idempotency_key = :old) = :old_first DESC LIMIT 1"""),
            {
                "business_id": business_id,
                "key": refund_key,
                "old": f"{OLD_PREFIX}{refund_key}",
                "prefix": OLD_PREFIX,
                "old_first": counter.prefixed_first,
            },
        )
    ).first()
    if row is None:
        return None
    asked = ("refund_key", row.basket_id, basket.basket_id), ("lines", row.asked["lines"], lines)
    for field, before, now in asked:
        if before != now:
            raise Conflict(
                f"this key was used before for another refund (its {_OF[field]} differs): send "
                "that one again, or use a new key",
                field=field,
            )
    return unpack_refund(row.answer)


async def _refund(
    db: AsyncConnection, counter: Counter, basket: Basket, refund_key: str, lines: Lines | None
) -> CartRefund:
    if basket.state != "redeemed":
        return _no("not_redeemed", f"it is {basket.state}: there is nothing to give back")
    rows = (
        await db.execute(
            text("""
              SELECT * FROM till_basket_line WHERE basket_id = :basket_id ORDER BY place"""),
            {"basket_id": basket.basket_id},
        )
    ).all()
    left = {row.line_id: row.quantity - row.refunded for row in rows}
    if lines is None:
        lines = {line_id: units for line_id, units in left.items() if units}
        if not lines:
            return _no("too_many", "all of it was refunded before")
    for line_id, units in lines.items():
        if line_id not in left:
            return _no("unknown_line", f"there is no line {line_id[:60]!r} in the basket")
        if units > left[line_id]:
            return _no("too_many", f"{left[line_id]} of line {line_id[:60]!r} are left to refund")
    offers = await offer_parts(db, basket_id=basket.basket_id)
    total = CartRefund(left_minor=sum(row.payable_left for row in rows))
    given = [0] * len(offers)
    for row in rows:
        units = lines.get(row.line_id, 0)
        if units:
            part, off = await _of_line(db, row, units, offers)
            total = _plus(total, part)
            given = [one + more for one, more in zip(given, off, strict=True)]
    # No key is longer than what it is made of allows: a digest stands for both.
    name = hashlib.sha256(orjson.dumps([basket.basket_id, refund_key])).hexdigest()[:40]
    await give_back(
        db,
        counter=counter,
        basket=basket,
        key=f"cart-back:{name}",
        offers=offers,
        given=given,
        points=total.points,
    )
    await keep_offer_parts(db, basket_id=basket.basket_id, parts=offers)
    return total


async def _of_line(
    db: AsyncConnection, row: Row[Any], units: int, offers: Sequence[OfferPart]
) -> tuple[CartRefund, list[int]]:
    """Take the units' share out of what is left of a line, and say what of each offer it was."""
    weights = [row.payable_left, row.points_minor_left, *(one.by_line[row.place] for one in offers)]
    payable, points_minor, *off = share_by_largest_remainder(units * row.unit_price_minor, weights)
    points = row.points_left
    if points_minor < row.points_minor_left:
        points = row.points_left * points_minor // row.points_minor_left
    for place, part in enumerate(off):
        offers[place].by_line[row.place] -= part
    await db.execute(
        text("""
          UPDATE till_basket_line SET refunded = refunded + :units,
            payable_left = payable_left - :payable, points_left = points_left - :points,
            points_minor_left = points_minor_left - :points_minor
          WHERE basket_id = :basket_id AND place = :place"""),
        {
            "units": units,
            "payable": payable,
            "points": points,
            "points_minor": points_minor,
            "basket_id": row.basket_id,
            "place": row.place,
        },
    )
    part_of_all = CartRefund(
        payable_minor=payable,
        discount_minor=sum(off),
        points=points,
        points_minor=points_minor,
        left_minor=-payable,
    )
    return part_of_all, off


def _plus(one: CartRefund, other: CartRefund) -> CartRefund:
    return CartRefund(
        payable_minor=one.payable_minor + other.payable_minor,
        discount_minor=one.discount_minor + other.discount_minor,
        points=one.points + other.points,
        points_minor=one.points_minor + other.points_minor,
        left_minor=one.left_minor + other.left_minor,
    )


def _no(reason: str, message: str) -> CartRefund:
    return CartRefund(refusal=CartRefusal(source="cart", reason=reason, message=message))
