"""What may be used for a cart: the vouchers and benefits that a request names, or all there are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.asked import CartAsked, Counter
from hub.benefits.carts.views import UNKNOWN, Named
from hub.benefits.entitlements.queries import Entitlement, entitlements
from hub.benefits.quoting.best_quote import Skipped
from hub.benefits.quoting.offers import Kind, Offer, Source, Terms
from hub.benefits.vouchers.queries import (
    Voucher,
    VoucherPage,
    VoucherState,
    member_vouchers,
    voucher_terms,
)
from hub.benefits.vouchers.terms import VoucherKind, VoucherTerms
from hub.benefits.vouchers.worth import Verdict, refusal
from hub.clock import day_starts_at
from hub.db.keyset import Stretch

MOST_HELD = 60
"""How many of a member's vouchers are weighed at once, the latest first."""
_LIVE = (VoucherState.ASSIGNED, VoucherState.RESERVED)
_GONE = {
    VoucherState.VOIDED: Verdict.VOIDED,
    VoucherState.USED_UP: Verdict.USED_UP,
    VoucherState.EXPIRED: Verdict.EXPIRED,
}
_WORDS = {
    Verdict.UNKNOWN: "nobody was given a voucher of this code",
    Verdict.NOT_YOURS: "it is somebody else's",
    Verdict.BELOW_MINIMUM: "the cart comes to less than it asks for",
    Verdict.RESERVED_ELSEWHERE: "it is set aside for another sale",
}


@dataclass(slots=True)
class Offered:
    """What may be used, what was named and may not, and what each is called.

    `codes` are those that the request gave, by the voucher's number.
    """

    offers: list[Offer] = field(default_factory=list)
    unusable: list[Skipped] = field(default_factory=list)
    named: dict[tuple[Source, str], Named] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    gifts: set[str] = field(default_factory=set)

    def refuse(self, source: Source, code: str, reason: str, message: str | None = None) -> None:
        """Keep why something cannot be used, whatever else is."""
        words = message or reason.replace("_", " ")
        self.unusable.append(Skipped(source=source, code=code, reason=reason, message=words))


async def offered(
    db: AsyncConnection, *, counter: Counter, member_id: int | None, asked: CartAsked
) -> Offered:
    """Return what may be used for a cart of this member, or of nobody who is known.

    Raises Malformed for what cannot be a voucher's code.
    """
    found = Offered()
    await _vouchers(db, counter, member_id, asked, found)
    await _benefits(db, counter, member_id, asked, found)
    return found


async def _vouchers(
    db: AsyncConnection, counter: Counter, member_id: int | None, asked: CartAsked, found: Offered
) -> None:
    if asked.vouchers is None:
        if member_id is not None:
            page = VoucherPage(
                stretch=Stretch(MOST_HELD),
                states=_LIVE,
                business_id=counter.business.business_id,
            )
            held = await member_vouchers(db, member_ids=[member_id], page=page, now=counter.now)
            for voucher in held[member_id]:
                _weigh(voucher, None, _verdict(voucher, counter, member_id, asked), found)
        return
    known = await voucher_terms(db, codes=asked.vouchers, keyring=counter.keyring, now=counter.now)
    for said, code in enumerate(asked.vouchers):
        voucher_named = known.get(code)
        if voucher_named is None or str(voucher_named.voucher_id) in found.codes:
            name = f"{UNKNOWN}{said}"
            found.named[Source.VOUCHER, name] = Named(said, "", "")
            if voucher_named is None:
                found.refuse(Source.VOUCHER, name, Verdict.UNKNOWN, _WORDS[Verdict.UNKNOWN])
            else:
                found.refuse(Source.VOUCHER, name, "named_twice")
            continue
        found.codes[str(voucher_named.voucher_id)] = code
        no = _verdict(voucher_named, counter, member_id, asked)
        _weigh(voucher_named, said, no, found)


def _weigh(voucher: Voucher, said: int | None, no: Verdict | None, found: Offered) -> None:
    code = str(voucher.voucher_id)
    found.named[Source.VOUCHER, code] = Named(said, voucher.terms.name, voucher.terms.name_zh)
    if no is not None:
        found.refuse(Source.VOUCHER, code, no.value, _WORDS.get(no))
        return
    if voucher.terms.kind is VoucherKind.POINTS:
        found.refuse(Source.VOUCHER, code, "no_discount", "it gives points, nothing off a bill")
        return
    if voucher.terms.kind is VoucherKind.BENEFIT:
        found.refuse(Source.VOUCHER, code, "no_discount", "claim it: it gives uses of a benefit")
        return
    if voucher.terms.kind is VoucherKind.GIFT:
        found.gifts.add(code)
    terms = _voucher_terms(voucher)
    found.offers.append(
        Offer(code=code, terms=terms, ends_at=voucher.ends_at, said=said is not None)
    )


def _verdict(
    voucher: Voucher, counter: Counter, member_id: int | None, asked: CartAsked
) -> Verdict | None:
    if member_id is not None and voucher.member_id not in (None, member_id):
        return Verdict.NOT_YOURS
    if voucher.state in _GONE:
        return _GONE[voucher.state]
    if voucher.left <= 0:
        return Verdict.RESERVED_ELSEWHERE
    if member_id is None and voucher.member_id is None and voucher.terms.per_member is not None:
        return Verdict.MEMBER_REQUIRED
    return refusal(
        voucher.terms,
        asked.bill,
        business_id=counter.business.business_id,
        time_zone=counter.business.time_zone,
        at=counter.now,
    )


def _voucher_terms(voucher: Voucher) -> Terms:
    """Return what a voucher takes off, in the words of quotes.

    What delivery must be ordered for is the whole bill's concern, which `refusal` has looked at.
    """
    terms = voucher.terms
    delivery = terms.kind is VoucherKind.DELIVERY
    return Terms(
        kind=Kind(terms.kind.value),
        amount_minor=voucher.left if terms.by_value else terms.amount_minor,
        percent=terms.percent,
        per_minor=None if delivery else terms.threshold_minor,
        repeatable=terms.repeats,
        cap_minor=terms.cap_minor,
        minimum_minor=0 if delivery else terms.minimum_minor,
        categories=frozenset(terms.categories) or None if not delivery else None,
        items=_items(terms),
        group=terms.stacking_group,
        exclusive=terms.alone,
    )


def _items(terms: VoucherTerms) -> frozenset[str] | None:
    return None if terms.item is None else frozenset({terms.item})


_KINDS = {
    "discount": Kind.CASH,
    "exclusive_price": Kind.CASH,
    "free_item": Kind.GIFT,
    "delivery": Kind.DELIVERY,
}


async def _benefits(
    db: AsyncConnection, counter: Counter, member_id: int | None, asked: CartAsked, found: Offered
) -> None:
    said = {code: place for place, code in enumerate(asked.benefits or ())}
    if member_id is None or asked.benefits == ():
        for code, place in said.items():
            found.named[Source.BENEFIT, code] = Named(place, code, code)
            found.refuse(Source.BENEFIT, code, Verdict.MEMBER_REQUIRED)
        return
    has = await entitlements(db, member_ids=[member_id], now=counter.now)
    quotas: dict[str, list[Entitlement]] = {}
    for one in has[member_id]:
        if one.kind in _KINDS and (not said or one.benefit_code in said):
            quotas.setdefault(one.benefit_code, []).append(one)
    terms = await _benefit_terms(db, [*quotas, *said], counter)
    for code in dict.fromkeys([*said, *quotas]):
        mine, said_at, says = quotas.get(code, []), said.get(code), terms.get(code)
        here = says is not None and counter.business.business_id in says.offered_at
        if not here and said_at is None:
            continue  # what others offer is no concern of this business
        name = (mine[0].name, mine[0].name_zh) if mine and here else (code, code)
        found.named[Source.BENEFIT, code] = Named(said_at, *name)
        no = _no_benefit(mine, says, counter, asked)
        if no is None:
            found.offers.append(_benefit_offer(code, mine, terms[code], counter, code in said))
        else:
            found.refuse(Source.BENEFIT, code, no)


def _no_benefit(
    quotas: Sequence[Entitlement], terms: Any, counter: Counter, asked: CartAsked
) -> str | None:
    """Return why a benefit cannot be used here; None: it can.

    Who does not offer it is not told whether the member has it.
    """
    if terms is None:
        return "not_entitled"
    outlets = terms.outlets.get(str(counter.business.business_id))
    elsewhere = outlets is not None and asked.outlet not in outlets
    asked_for = (
        ("not_offered_here", elsewhere or counter.business.business_id not in terms.offered_at),
        ("not_entitled", not quotas),
        ("no_discount", not terms.parameters),
        (Verdict.WRONG_CURRENCY, terms.currency != asked.currency),
        ("quota_used", sum(one.remaining for one in quotas) <= 0),
        (
            Verdict.BELOW_MINIMUM,
            asked.cart.list_minor < terms.parameters.get("min_spend_minor", 0),
        ),
    )
    return next((reason for reason, wrong in asked_for if wrong), None)


def _benefit_offer(
    code: str, quotas: Sequence[Entitlement], terms: Any, counter: Counter, said: bool
) -> Offer:
    facts = terms.parameters
    kind = _KINDS[terms.kind]
    percent = facts.get("percent")
    categories = facts.get("categories") or ([facts["category"]] if "category" in facts else [])
    caps = ("cap_minor", "max_value_minor", "up_to_minor")
    soonest = min(one.ends_on for one in quotas if one.remaining > 0)
    return Offer(
        code=code,
        terms=Terms(
            kind=Kind.PERCENTAGE if percent is not None else kind,
            amount_minor=facts.get("amount_minor"),
            percent=None if percent is None else Decimal(percent),
            cap_minor=next((facts[cap] for cap in caps if facts.get(cap) is not None), None),
            minimum_minor=0 if kind is Kind.DELIVERY else facts.get("min_spend_minor", 0),
            categories=frozenset(categories) or None,
            benefit=True,
        ),
        ends_at=_end_of(soonest, counter),
        said=said,
    )


def _end_of(day: Any, counter: Counter) -> Any:
    if day.year >= 9999:
        return None
    return day_starts_at(day + timedelta(days=1), counter.time_zone)


async def _benefit_terms(
    db: AsyncConnection, codes: Sequence[str], counter: Counter
) -> dict[str, Any]:
    """Return the terms in force of benefits, by their short names."""
    if not codes:
        return {}
    rows = await db.execute(
        text("""
          SELECT b.code, b.kind, t.parameters, t.outlets, t.offered_at, t.currency
          FROM benefit b CROSS JOIN LATERAL benefit_terms_at(b.benefit_id, :now) t
          WHERE b.code = ANY (CAST(:codes AS text[])) AND t.benefit_id IS NOT NULL"""),
        {"codes": list(codes), "now": counter.now},
    )
    return {row.code: row for row in rows}
