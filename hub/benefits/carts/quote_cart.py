"""Quote a cart: what it would cost now. Nothing is written, nothing is kept."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.carts.asked import CartAsked, Counter
from hub.benefits.carts.offered import Offered, offered
from hub.benefits.carts.views import CartQuote, CartRefusal, refusal_of, view
from hub.benefits.quoting.best_quote import Quote, best_quote
from hub.benefits.quoting.cart import MarginGuard
from hub.benefits.quoting.offers import Source, Stacking
from hub.errors import Rejected
from hub.ledger.queries import balances
from hub.programme.acceptance import AcceptanceRule
from hub.programme.policy_queries import policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A quote with what it was made from; without a quote, `refusal` says why there is none."""

    quote: Quote | None
    view: CartQuote | None
    refusal: CartRefusal | None
    offered: Offered
    acceptance: AcceptanceRule | None

    @property
    def answer(self) -> CartQuote | CartRefusal:
        """The one of the two that there is."""
        if self.view is not None:
            return self.view
        if self.refusal is None:
            raise RuntimeError("a cart has neither a quote nor a refusal")
        return self.refusal


async def quote_cart(
    db: AsyncConnection, *, counter: Counter, member_id: int | None, asked: CartAsked
) -> CartQuote | CartRefusal:
    """Return what a cart costs with the best lawful combination of what may be used for it.

    A refusal is the answer where all that was named must be used and cannot be. Raises Malformed,
    naming the field.
    """
    weighed = await weigh(db, counter=counter, member_id=member_id, asked=asked)
    return weighed.answer


async def weigh(
    db: AsyncConnection, *, counter: Counter, member_id: int | None, asked: CartAsked
) -> Weighed:
    """Return a quote with everything that it takes to act on it."""
    asked.checked(counter.business)
    business_id = counter.business.business_id
    rules = await policies(db)
    till = rules.till(business_id, counter.now)
    acceptance = rules.acceptance(business_id, counter.now)
    found = await offered(db, counter=counter, member_id=member_id, asked=asked)
    available = 0
    if asked.points and member_id is not None:
        have = await balances(db, member_ids=[member_id], today=counter.today, now=counter.now)
        available = have[member_id].available
    try:
        quote = best_quote(
            asked.cart,
            found.offers,
            unusable=found.unusable,
            policy=asked.policy,
            guard=MarginGuard(
                line_share=till.line_share,
                cost_margin=till.cost_margin,
                bill_share=till.bill_share,
            ),
            stacking=Stacking(
                most_vouchers=till.most_vouchers,
                vouchers_with_benefits=till.vouchers_with_benefits,
            ),
            acceptance=acceptance,
            points=asked.points,
            available_points=available,
        )
    except Rejected as no:
        refusal = refusal_of(
            source=Source(str(no.facts["source"])),
            code=str(no.facts["code"]),
            reason=str(no.facts["reason"]),
            message=no.message,
            named=found.named,
        )
        return Weighed(quote=None, view=None, refusal=refusal, offered=found, acceptance=acceptance)
    return Weighed(
        quote=quote,
        view=view(quote, found.named),
        refusal=None,
        offered=found,
        acceptance=acceptance,
    )
