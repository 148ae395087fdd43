"""Quote a cart against the bare reads that it needs: what does finding the best combination cost?

Both sides are 32 tasks of one process that share eight connections. A quote is
`hub.benefits.carts.quote_cart` for a member who has the offers (vouchers of one campaign each);
the bare reads are what it asks the database first, without the search: the policies, the vouchers
that the member has, its benefits and its balance. Windows alternate, and the best of each side
counts; the percentiles are of the best window. `python -m bench.quote`
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bench.common import bench_server, report
from bench.voucher_codes import campaign, configure
from hub.benefits.carts.asked import CartAsked, Counter
from hub.benefits.carts.offered import offered
from hub.benefits.carts.quote_cart import quote_cart
from hub.benefits.carts.views import CartQuote
from hub.benefits.quoting.cart import Line
from hub.benefits.vouchers.configure import CampaignConfig
from hub.crypto.keyring import Keyring
from hub.db.engine import make_engine
from hub.ledger.queries import balances
from hub.programme.policy_queries import policies
from hub.programme.queries import businesses, programme

CLIENTS, CONNECTIONS = 32, 8
LINES, OFFERS = (5, 20), (3, 10)
CATEGORIES = ("food", "drinks", "dessert")
SEED = (
    "INSERT INTO member (member_id, created_at) SELECT n, now() FROM generate_series(1, 10) n",
    # Member n has a voucher of each of the first n campaigns.
    """INSERT INTO voucher (voucher_id, granted, ends_at, terms_id, digest, member_id, birth_id,
         assigned_at)
       SELECT 100 * n + t.place, t.granted, 'infinity', t.terms_id,
         decode(md5((100 * n + t.place)::text), 'hex'), n, n, now()
       FROM (SELECT terms_id, granted, row_number() OVER (ORDER BY terms_id) AS place
         FROM voucher_terms) t JOIN generate_series(1, 10) n ON t.place <= n""",
    "ANALYZE",
)
Ask = Callable[[AsyncConnection], Awaitable[object]]


def campaigns() -> list[CampaignConfig]:
    """Return ten campaigns that can be used together, of three kinds and scopes that overlap."""
    found = []
    for n in range(10):
        scope = [CATEGORIES[n % 3]] if n % 2 else []
        facts = (
            {"kind": "cash", "amount_minor": 100 + n},
            {"kind": "percentage", "percent": Decimal(5 + n), "amount_minor": None},
            {"kind": "threshold", "threshold_minor": 2_000 + n, "amount_minor": 150 + n},
        )[n % 3]
        found.append(campaign(f"offer-{n}", **{**facts, "categories": scope}))
    return found


def cart(lines: int) -> CartAsked:
    """Return a cart of so many lines."""
    return CartAsked(
        lines=tuple(
            Line(id=str(n), unit_price_minor=999 + 37 * n, category=CATEGORIES[n % 3])
            for n in range(lines)
        ),
        currency="CNY",
        points=1,
    )


async def counter_of(db: AsyncConnection, business: str) -> Counter:
    """Return a till of the business."""
    at = datetime.now(UTC) + timedelta(seconds=1)
    shop = next(one for one in await businesses(db) if one.code == business)
    return Counter(
        business=shop,
        business_date=at.date(),
        today=at.date(),
        now=at,
        time_zone=(await programme(db)).time_zone,
        keyring=Keyring.generate(),
    )


async def window(engine: AsyncEngine, ask: Ask, seconds: float) -> tuple[float, float, float]:
    """Ask from all clients for `seconds`; returns the rate, and the p50 and p99 in ms."""
    took: list[float] = []
    ends = time.perf_counter() + seconds

    async def client() -> None:
        while (began := time.perf_counter()) < ends:
            async with engine.connect() as db:
                await ask(db)
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    rate = len(took) / (time.perf_counter() - began)
    took.sort()
    return rate, 1000 * took[len(took) // 2], 1000 * took[len(took) * 99 // 100]


def sides(counter: Counter, member_id: int, asked: CartAsked) -> tuple[Ask, Ask]:
    """Return the bare reads of a quote, and the quote."""

    async def read(db: AsyncConnection) -> object:
        await policies(db)
        await balances(db, member_ids=[member_id], today=counter.today, now=counter.now)
        return await offered(db, counter=counter, member_id=member_id, asked=asked)

    async def quote(db: AsyncConnection) -> object:
        return await quote_cart(db, counter=counter, member_id=member_id, asked=asked)

    return read, quote


def require_offers(found: object, offers: int) -> None:
    """Raise RuntimeError unless it is an exact quote that weighed so many vouchers."""
    if not isinstance(found, CartQuote) or not found.offers or not found.exact:
        raise RuntimeError(f"this is no quote to measure: {found}")
    weighed = len(found.offers) + sum(one.source == "voucher" for one in found.skipped)
    if weighed != offers:
        raise RuntimeError(f"{weighed} offers were weighed, not {offers}")


async def measure(url: str, seconds: float, rounds: int) -> list[tuple[str, str]]:
    """Measure every size of cart with every number of offers."""
    engine = make_engine(url, pool_size=CONNECTIONS)
    rows = []
    async with engine.connect() as db:
        counter = await counter_of(db, "hotel")
    for lines, offers in product(LINES, OFFERS):
        read, quote = sides(counter, offers, cart(lines))
        async with engine.connect() as db:
            require_offers(await quote(db), offers)
        reads, quotes = [], []
        for _ in range(rounds):
            reads.append(await window(engine, read, seconds))
            quotes.append(await window(engine, quote, seconds))
        (bare, *bare_ms), (rate, *ms) = max(reads), max(quotes)
        rows += [
            (f"{lines} lines, {offers} offers", f"{rate:,.0f}/s; bare reads {bare:,.0f}/s"),
            ("  ratio", f"{rate / bare:.2f}"),
            ("  p50, p99", f"{_of(ms)}; bare reads {_of(bare_ms)}"),
        ]
    await engine.dispose()
    return rows


def _of(milliseconds: list[float]) -> str:
    return ", ".join(f"{one:.1f} ms" for one in milliseconds)


def main() -> None:
    """Run both sides in turn for every cart and print the ratios of the best windows."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with bench_server() as bench:
        asyncio.run(configure(bench, *campaigns()))
        asyncio.run(bench.run(*SEED))
        rows = asyncio.run(measure(bench.url, chosen.seconds, chosen.rounds))
        report(f"Quote a cart against its bare reads, {CLIENTS} clients", bench, rows)


if __name__ == "__main__":
    main()
