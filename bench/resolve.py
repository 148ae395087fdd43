"""How long a business waits to learn who somebody is, and whether sixteen of them agree.

`python -m bench.resolve`

Each sighting has a phone, verified, and a name, and is a transaction of its own. *match*: a member
of one business is seen at another for the first time. *create*: nobody knows the phone. *known*:
the business has seen them before. The limit is a transaction that writes one row. All run on the
event loop that the hub is served on.
"""

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import uvloop
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.common import Bench, bench_server, copy_rows, report
from hub.connector import Hint, HintType
from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.db.engine import make_engine
from hub.members.identifiers import Kind, identify
from hub.members.people import Outcome
from hub.members.resolve import Resolved, Sighting, resolve

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring.generate()
CLIENTS = 16
WARM = 200
BATCH = 20_000
GROUP = (
    "INSERT INTO legal_entity OVERRIDING SYSTEM VALUE VALUES (1, 'group', 'Group')",
    f"""INSERT INTO business (business_id, code, name, kind, legal_entity_id, currency, country,
          time_zone)
        OVERRIDING SYSTEM VALUE
        SELECT n, 'shop-' || n, 'Shop', 'retail', 1, 'CNY', 'CN', 'Asia/Shanghai'
        FROM generate_series(1, {CLIENTS}) n""",
    "CREATE TABLE bench_row (row_id bigint PRIMARY KEY)",
)
AFTER_SEED = (
    "SELECT setval('member_member_id_seq', greatest(nextval('member_member_id_seq'), 100_000_000))",
    """SELECT setval('account_account_id_seq',
         greatest(nextval('account_account_id_seq'), 100_000_000))""",
    "VACUUM ANALYZE",
    "CHECKPOINT",
)
Seconds = list[float]


def phone(n: int) -> str:
    """A valid number for each n."""
    return f"+86139{n + 10_203_040:08}"


def name(n: int) -> str:
    """A name of three characters."""
    return "王李张刘陈"[n % 5] + chr(0x4E00 + n % 5000) + chr(0x4E00 + n // 5000 % 5000)


async def seed(bench: Bench, first: int, last: int) -> None:
    """Give members first to last an account at business 1 with a phone and a name."""
    connection = await asyncpg.connect(bench.url)
    for start in range(first, last + 1, BATCH):
        numbers = range(start, min(start + BATCH, last + 1))
        keys = {n: fields.mint(KEYRING, account_id=n) for n in numbers}
        place = {"table": "account_profile", "column": "name"}
        rows = {
            "member": ([(n, NOW) for n in numbers], ["member_id", "created_at"]),
            "account": (
                [(n, 1, f"c-{n}", NOW) for n in numbers],
                ["account_id", "business_id", "external_id", "created_at"],
            ),
            "account_key": (
                [(n, keys[n][1].envelope, keys[n][1].kek_version) for n in numbers],
                ["account_id", "wrapped", "kek_version"],
            ),
            "account_link": (
                [(n, n, "birth", asyncpg.Range(NOW, None)) for n in numbers],
                ["account_id", "member_id", "method", "valid"],
            ),
            "account_profile": (
                [
                    (n, "name", False, NOW, keys[n][0].encrypt(name(n), **place, row=str(n)))
                    for n in numbers
                ],
                ["account_id", "attribute", "verified", "observed_at", "ciphertext"],
            ),
            "identifier_claim": (
                [
                    (int(Kind.PHONE), identify(KEYRING, Kind.PHONE, phone(n)).digest, 1, n, n, NOW,
                     True, NOW)
                    for n in numbers
                ],
                ["kind", "blind_index", "index_key_version", "member_id", "account_id",
                 "last_seen_at", "verified", "opened_at"],
            ),
        }  # fmt: skip
        await copy_rows(connection, rows)
    await connection.close()


def sighting(business_id: int, external_id: str, n: int) -> Sighting:
    """Member n, or nobody yet, as a business shows them."""
    return Sighting(
        business_id=business_id,
        external_id=external_id,
        hints=(
            Hint(type=HintType.PHONE, value=phone(n), verified=True),
            Hint(type=HintType.NAME, value=name(n)),
        ),
        seen_at=NOW + timedelta(days=1),
    )


async def see(engine: AsyncEngine, one: Sighting) -> Resolved:
    """Resolve and commit."""
    async with engine.begin() as db:
        [seen] = await resolve(db, people=[one], now=NOW, keyring=KEYRING)
    return seen


Work = Callable[[int], Awaitable[None]]


async def timed(kinds: dict[str, tuple[Work, Sequence[int]]]) -> dict[str, Seconds]:
    """Do each kind of work in turn, so that all meet the same machine; the first only warm up."""
    seconds: dict[str, Seconds] = {kind: [] for kind in kinds}
    for turn in range(min(len(numbers) for _, numbers in kinds.values())):
        for kind, (work, numbers) in kinds.items():
            started = time.perf_counter()
            await work(numbers[turn])
            if turn >= WARM:
                seconds[kind].append(time.perf_counter() - started)
    return seconds


async def one_client(url: str, members: int, times: int, turn: int) -> dict[str, Seconds]:
    """Time each kind of sighting, and the bare transaction among them."""
    engine = make_engine(url, pool_size=1)
    some = random.Random(turn).sample(range(1, members + 1), times + WARM)
    new = range(10_000_000 + turn * 1_000_000, 10_000_000 + turn * 1_000_000 + times + WARM)

    async def expect(outcome: Outcome, one: Sighting) -> None:
        seen = await see(engine, one)
        if seen.outcome is not outcome:
            raise RuntimeError(f"{outcome} was expected, not {seen.outcome}")

    async def match(n: int) -> None:
        await expect(Outcome.MATCHED, sighting(2 + turn, f"g-{n}", n))

    async def create(n: int) -> None:
        await expect(Outcome.NEW, sighting(1, f"c-{n}", n))

    async def known(n: int) -> None:
        await expect(Outcome.KNOWN, sighting(1, f"c-{n}", n))

    async def bare(n: int) -> None:
        async with engine.begin() as db:
            await db.execute(text("INSERT INTO bench_row VALUES (:n)"), {"n": n})

    try:
        return await timed(
            {
                "bare": (bare, new),
                "match": (match, some),
                "create": (create, new),
                "known": (known, some[::-1]),
            }
        )
    finally:
        await engine.dispose()


async def race(url: str, phones: int) -> int:
    """Have sixteen businesses see each phone at the same moment; returns the members made."""
    engine = make_engine(url, pool_size=CLIENTS)
    members = set()
    for n in range(50_000_000, 50_000_000 + phones):
        answers = await asyncio.gather(
            *(see(engine, sighting(1 + c, f"r-{n}", n)) for c in range(CLIENTS))
        )
        members |= {answer.member_id for answer in answers}
    await engine.dispose()
    return len(members)


def milliseconds(seconds: Seconds) -> tuple[float, float]:
    """Return p50 and p99."""
    cuts = statistics.quantiles(seconds, n=100)
    return cuts[49] * 1000, cuts[98] * 1000


def main() -> None:
    """Measure at a tenth of the members and at all of them, then run the race."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--members", type=int, default=300_000)
    options.add_argument("--times", type=int, default=2_000)
    chosen = options.parse_args()
    with bench_server() as bench:
        asyncio.run(bench.run(*GROUP))
        rows: list[tuple[str, str]] = []
        seeded = 0
        for turn, members in enumerate((chosen.members // 10, chosen.members)):
            asyncio.run(seed(bench, seeded + 1, members))
            asyncio.run(bench.run(*AFTER_SEED))
            seeded = members
            found = uvloop.run(one_client(bench.url, members, chosen.times, turn))
            bare, _ = milliseconds(found["bare"])
            for kind, seconds in found.items():
                p50, p99 = milliseconds(seconds)
                figure = f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, {p50 / bare:.1f} x the bare p50"
                rows.append((f"{kind}, {members:,} members", figure))
        phones = 50
        made = uvloop.run(race(bench.url, phones))
        rows.append((f"race of {CLIENTS} on {phones} phones", f"{made} members"))
        report("Resolve in real time, one client", bench, rows)


if __name__ == "__main__":
    main()
