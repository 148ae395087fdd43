"""Baskets as they are kept: one per business and key, locked before it is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.asked import CartAsked, Counter
from hub.benefits.carts.views import (
    CartAnswer,
    CartQuote,
    CartRefusal,
    pack,
    unpack_quote,
)
from hub.errors import Conflict
from hub.members.queries import current_members


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What is set aside for a basket: the points' hold, the vouchers' reservation, quotas' holds.

    `holds` are by the benefit's short name.
    """

    hold_tx: int | None
    voucher_request: int | None
    holds: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """A basket as it stands; `member_id` is who the member is now, `key` is as it is kept."""

    basket_id: int
    key: str
    member_id: int | None
    state: str
    asked: Mapping[str, str]
    answer: Mapping[str, Any] | None
    points: int
    hold_tx: int | None
    redeem_tx: int | None
    voucher_request: int | None
    expires_at: datetime | None

    def told(self, *, replayed: bool = True, refusal: CartRefusal | None = None) -> CartAnswer:
        """Word how it stands; `refusal` is why what was asked now is not done."""
        quote = None
        if self.state == "declined":
            refusal = refusal or CartRefusal(**(self.answer or {}))
        elif self.answer is not None:
            quote = unpack_quote(self.answer)
        return CartAnswer(
            state=self.state,
            replayed=replayed,
            quote=quote,
            refusal=refusal,
            expires_at=self.expires_at if self.state == "reserved" else None,
            member_id=self.member_id,
            transaction=self.redeem_tx,
        )

    def same(self, asked: Mapping[str, str]) -> None:
        """Raise Conflict, naming the field, unless the basket was asked for in the same way."""
        for name, digest in asked.items():
            if self.asked.get(name, digest) != digest:
                raise Conflict(
                    f"this key was used before for another cart (its {name} differs): send that "
                    "one again, or use a new key",
                    field=name,
                )


OLD_PREFIX = "api:"
"""What GraphQL's keys were kept with when they were its own."""


async def find_basket(db: AsyncConnection, *, counter: Counter, key: str) -> Basket | None:
    """Lock the key until the transaction ends and return its basket, if there is one."""
    business_id = counter.business.business_id
    await db.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('till_basket', :business_id)"
             " # hashtextextended(:key, 0))"),
        {"business_id": business_id, "key": key},
    )  # fmt: skip
    row = (
        await db.execute(
            text("""
              SELECT basket_id, idempotency_key AS key, member_id, state, asked, answer, points,
                hold_tx, redeem_tx, voucher_request, expires_at
              FROM till_basket
              WHERE business_id = :business_id AND idempotency_key IN (:key, :old)
                AND (idempotency_key = :key OR prefixed)
              ORDER BY (idempotency_key = :old) = :old_first DESC LIMIT 1 FOR UPDATE"""),
            {
                "business_id": business_id,
                "key": key,
                "old": f"{OLD_PREFIX}{key}",
                "old_first": counter.prefixed_first,
            },
        )
    ).first()
    if row is None:
        return None
    facts = row._asdict()
    if row.member_id is not None:
        now_is = await current_members(db, member_ids=[row.member_id])
        facts["member_id"] = now_is.get(row.member_id, row.member_id)
    return Basket(**facts)


async def keep_basket(
    db: AsyncConnection,
    *,
    counter: Counter,
    key: str,
    member_id: int | None,
    asked: Mapping[str, str],
    state: str,
    answer: CartQuote | CartRefusal | None = None,
    taken: Taken | None = None,
    expires_at: datetime | None = None,
) -> int:
    """Write a new basket under a locked key; returns its number."""
    quote = answer if isinstance(answer, CartQuote) else None
    basket_id: int = (
        await db.execute(
            text("""
              INSERT INTO till_basket (business_id, idempotency_key, member_id, state, asked,
                answer, points, hold_tx, voucher_request, occurred_at, expires_at)
              VALUES (:business_id, :key, :member_id, :state, CAST(:asked AS jsonb),
                CAST(:answer AS jsonb), :points, :hold_tx, :voucher_request, :now, :expires_at)
              RETURNING basket_id"""),
            {
                "business_id": counter.business.business_id,
                "key": key,
                "member_id": member_id,
                "state": state,
                "asked": orjson.dumps(dict(asked)).decode(),
                "answer": None if answer is None else pack(answer),
                "points": quote.points if quote else 0,
                "hold_tx": taken and taken.hold_tx,
                "voucher_request": taken and taken.voucher_request,
                "now": counter.now,
                "expires_at": expires_at,
            },
        )
    ).scalar_one()
    return basket_id


async def keep_parts(
    db: AsyncConnection, *, basket_id: int, cart: CartAsked, quote: CartQuote, taken: Taken
) -> None:
    """Write what each line and each offer of a basket has, to be given back by."""
    await db.execute(
        text("""
          INSERT INTO till_basket_line (basket_id, place, line_id, quantity, unit_price_minor,
            payable_left, points_minor_left, points_left)
          VALUES (:basket_id, :place, :line_id, :quantity, :price, :payable, :points_minor,
            :points)"""),
        [
            {
                "basket_id": basket_id,
                "place": place,
                "line_id": line.id,
                "quantity": line.quantity,
                "price": line.unit_price_minor,
                "payable": quoted.payable_minor,
                "points_minor": quoted.points_minor,
                "points": quoted.points,
            }
            for place, (line, quoted) in enumerate(zip(cart.lines, quote.lines, strict=True))
        ],
    )
    if quote.offers:
        await db.execute(
            text("""
              INSERT INTO till_basket_offer (basket_id, place, voucher_id, benefit_code, taken_id,
                by_line)
              VALUES (:basket_id, :place, :voucher_id, :benefit, :taken_id,
                CAST(:by_line AS bigint[]))"""),
            [
                {
                    "basket_id": basket_id,
                    "place": place,
                    "voucher_id": int(offer.id) if offer.source == "voucher" else None,
                    "benefit": offer.id if offer.source == "benefit" else None,
                    "taken_id": taken.holds.get(offer.id) if offer.source == "benefit" else None,
                    "by_line": list(offer.by_line),
                }
                for place, offer in enumerate(quote.offers)
            ],
        )


async def move_basket(
    db: AsyncConnection, *, basket_id: int, state: str, now: datetime, redeem_tx: int | None = None
) -> None:
    """Note that a basket was redeemed or released."""
    await db.execute(
        text("""
          UPDATE till_basket SET state = :state, redeem_tx = :redeem_tx,
            redeemed_at = CASE WHEN :redeemed THEN CAST(:now AS timestamptz) END
          WHERE basket_id = :basket_id"""),
        {
            "basket_id": basket_id,
            "state": state,
            "redeemed": state == "redeemed",
            "now": now,
            "redeem_tx": redeem_tx,
        },
    )


@dataclass(slots=True, kw_only=True)
class OfferPart:
    """An offer of a basket; `by_line` is what it took off and has not given back."""

    place: int
    voucher_id: int | None
    benefit_code: str | None
    taken_id: int | None
    given_back: bool
    by_line: list[int]


async def offer_parts(db: AsyncConnection, *, basket_id: int) -> list[OfferPart]:
    """Return the offers of a locked basket, in order of use."""
    rows = await db.execute(
        text("""
          SELECT place, voucher_id, benefit_code, taken_id, given_back, by_line
          FROM till_basket_offer WHERE basket_id = :basket_id ORDER BY place"""),
        {"basket_id": basket_id},
    )
    return [OfferPart(**row._asdict()) for row in rows]


async def keep_offer_parts(
    db: AsyncConnection, *, basket_id: int, parts: Sequence[OfferPart]
) -> None:
    """Write how offers of a locked basket stand."""
    if not parts:
        return
    await db.execute(
        text("""
          UPDATE till_basket_offer SET taken_id = :taken_id, given_back = :given_back,
            by_line = CAST(:by_line AS bigint[])
          WHERE basket_id = :basket_id AND place = :place"""),
        [
            {
                "basket_id": basket_id,
                "place": part.place,
                "taken_id": part.taken_id,
                "given_back": part.given_back,
                "by_line": part.by_line,
            }
            for part in parts
        ],
    )
