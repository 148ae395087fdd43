"""How long a match over the database takes, all and what changed, and whom it finds.

`python -m bench.match --people 60000`

Made-up people, each with one to four accounts at eight businesses: relatives who share phones and
surnames, sons with their father's name, misspelt names, mistyped and missing birthdays, changed
phones. *read* opens every profile, *learn* finds the weights, *weigh* compares, *settle* decides,
*store* writes features and pairs. Some of the steps are taken and timed; what the others would do
is counted. Then one account in a hundred changes.
"""

import argparse
import asyncio
import random
import resource
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.common import Bench, bench_server, copy_rows, report
from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.db.engine import make_engine
from hub.intake.match_members import match_members
from hub.members.batch.plan_matches import Kind, plan_matches

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring.generate()
BUSINESSES = 8
BATCH = 20_000
GROUP = (
    "INSERT INTO legal_entity OVERRIDING SYSTEM VALUE VALUES (1, 'group', 'Group')",
    f"""INSERT INTO business (business_id, code, name, kind, legal_entity_id, currency, country,
          time_zone)
        OVERRIDING SYSTEM VALUE
        SELECT n, 'shop-' || n, 'Shop', 'retail', 1, 'CNY', 'CN', 'Asia/Shanghai'
        FROM generate_series(1, {BUSINESSES}) n""",
    "INSERT INTO programme (name, time_zone, currency) VALUES ('Group', 'Asia/Shanghai', 'CNY')",
)
AFTER_SEED = (
    "SELECT setval('member_member_id_seq', 100_000_000)",
    "SELECT setval('account_account_id_seq', 100_000_000)",
    "VACUUM ANALYZE",
    "CHECKPOINT",
)
SYLLABLES = (
    "an bao chen dong feng gang hua jian kai lei ming ning peng qing rui shan tao wei xin yu"
)
SURNAMES = "wang li zhang liu chen yang zhao huang zhou wu xu sun hu zhu gao lin he guo ma luo"


class Person(NamedTuple):
    """Somebody made up; `household` numbers those who share a phone."""

    name: str
    birthday: str
    phone: str
    email: str
    household: int


def population(people: int, draw: random.Random) -> list[Person]:
    """Return people in households of one to four, who share a surname, and some a phone."""
    given = [a + b for a in SYLLABLES.split() for b in SYLLABLES.split()]
    given += [a + b + c for a in given[:60] for b in SYLLABLES.split() for c in ("", "n")]
    surnames = SURNAMES.split()
    found: list[Person] = []
    household = 0
    while len(found) < people:
        household += 1
        surname = surnames[min(int(draw.expovariate(0.12)), len(surnames) - 1)]
        home_phone = number(10_000_000 + household)
        father = None
        for place in range(draw.choices([1, 2, 3, 4], [45, 25, 15, 15])[0]):
            first = given[min(int(draw.expovariate(4 / len(given))), len(given) - 1)]
            if place >= 2 and father and draw.random() < 0.05:
                first = father
            father = father or first
            year = draw.randint(1940, 1985) + (27 if place >= 2 else 0)
            born = f"{year}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
            n = len(found)
            phone = home_phone if draw.random() < 0.15 else number(50_000_000 + n)
            name = f"{first.capitalize()} {surname.capitalize()}"
            found.append(Person(name, born, phone, f"{first}.{surname}{n}@example.com", household))
    return found[:people]


def number(n: int) -> str:
    """A valid number for each n."""
    return f"+86139{n:08}"


class Record(NamedTuple):
    """An account and what its profile says; `whose` is the truth."""

    account_id: int
    business_id: int
    whose: int
    said: dict[str, str]
    verified: frozenset[str]


def records(people: Sequence[Person], draw: random.Random) -> Iterator[Record]:
    """Yield the records that businesses keep of people, with what goes wrong."""
    account_id = 0
    for whose, person in enumerate(people):
        where = draw.sample(
            range(1, BUSINESSES + 1), draw.choices([1, 2, 3, 4], [40, 35, 15, 10])[0]
        )
        for business_id in where:
            account_id += 1
            yield record(account_id, business_id, whose, person, draw)


def record(
    account_id: int, business_id: int, whose: int, person: Person, draw: random.Random
) -> Record:
    """One record of a person."""
    said = {"name": misspelt(person.name, draw)}
    if draw.random() < 0.7:
        said["birthday"] = mistyped(person.birthday, draw)
    if draw.random() < 0.85:
        moved = draw.random() < 0.12
        said["phone"] = number(draw.randrange(80_000_000, 99_000_000)) if moved else person.phone
    if draw.random() < 0.45:
        said["email"] = person.email
    verified = frozenset(kind for kind in ("phone", "email") if draw.random() < 0.2)
    return Record(account_id, business_id, whose, said, verified & said.keys())


def misspelt(name: str, draw: random.Random) -> str:
    """A name as somebody wrote it down."""
    if draw.random() < 0.05:
        place = draw.randrange(1, len(name))
        name = name[:place] + draw.choice("aeinou") + name[place + 1 :]
    first, _, last = name.partition(" ")
    return f"{last} {first}" if draw.random() < 0.2 else name


def mistyped(birthday: str, draw: random.Random) -> str:
    """A birthday as somebody wrote it down."""
    if draw.random() < 0.03:
        return f"{birthday[:8]}{draw.randint(1, 28):02}"
    return birthday


async def seed(bench: Bench, found: Sequence[Record]) -> None:
    """Store accounts, each a member of its own."""
    connection = await asyncpg.connect(bench.url)
    for start in range(0, len(found), BATCH):
        part = found[start : start + BATCH]
        keys = {r.account_id: fields.mint(KEYRING, account_id=r.account_id) for r in part}
        rows: dict[str, tuple[list[Any], list[str]]] = {
            "member": ([(r.account_id, NOW) for r in part], ["member_id", "created_at"]),
            "account": (
                [(r.account_id, r.business_id, f"c-{r.account_id}", NOW) for r in part],
                ["account_id", "business_id", "external_id", "created_at"],
            ),
            "account_key": (
                [(n, stored.envelope, stored.kek_version) for n, (_, stored) in keys.items()],
                ["account_id", "wrapped", "kek_version"],
            ),
            "account_link": (
                [(r.account_id, r.account_id, "birth", asyncpg.Range(NOW, None)) for r in part],
                ["account_id", "member_id", "method", "valid"],
            ),
            "account_profile": (
                [row for r in part for row in profile(r, keys[r.account_id][0], NOW)],
                ["account_id", "attribute", "verified", "observed_at", "ciphertext"],
            ),
        }
        await copy_rows(connection, rows)
    await connection.close()


def profile(one: Record, key: fields.DataKey, at: datetime) -> list[tuple[Any, ...]]:
    """The rows of a record's profile."""
    return [
        (
            one.account_id,
            attribute,
            attribute in one.verified,
            at,
            key.encrypt(value, table="account_profile", column=attribute, row=str(one.account_id)),
        )
        for attribute, value in one.said.items()
    ]


async def change(bench: Bench, found: list[Record], people: Sequence[Person], share: float) -> int:
    """Write some accounts anew: what they say of the same person goes wrong in other ways."""
    draw = random.Random(5)
    places = draw.sample(range(len(found)), int(len(found) * share))
    connection = await asyncpg.connect(bench.url)
    wrapped = dict(
        await connection.fetch(
            "SELECT account_id, wrapped FROM account_key WHERE account_id = ANY ($1)",
            [found[place].account_id for place in places],
        )
    )
    rows = []
    for place in places:
        old = found[place]
        found[place] = new = record(
            old.account_id, old.business_id, old.whose, people[old.whose], draw
        )
        key = fields.unwrap(KEYRING, wrapped[new.account_id], account_id=new.account_id)
        rows += profile(new, key, NOW + timedelta(days=1))
    await connection.executemany(
        """INSERT INTO account_profile (account_id, attribute, verified, observed_at, ciphertext)
           VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account_id, attribute) DO UPDATE
           SET verified = excluded.verified, ciphertext = excluded.ciphertext""",
        rows,
    )
    await connection.close()
    return len(places)


async def take(engine: AsyncEngine, run_id: int, at_most: int) -> str:
    """Take so many steps and leave the others; returns how long a merge takes."""
    seconds = []
    for _ in range(at_most):
        started = time.perf_counter()
        async with engine.begin() as db:
            if not await match_members(db, run_id=run_id, now=NOW):
                break
        seconds.append(time.perf_counter() - started)
    async with engine.begin() as db:
        await db.execute(
            text("UPDATE match_step SET done_at = :now, outcome = 'left' WHERE done_at IS NULL"),
            {"now": NOW},
        )
    async with engine.begin() as db:
        await match_members(db, run_id=run_id, now=NOW)
    return f"{statistics.median(seconds) * 1000:.1f} ms" if seconds else "none"


async def run(bench: Bench, kind: Kind, at_most: int) -> list[tuple[str, str]]:
    """Match; returns the seconds of each phase."""
    engine = make_engine(bench.url, pool_size=2)
    phases: list[tuple[str, float]] = []
    last = time.perf_counter()

    def tell(phase: str) -> None:
        nonlocal last
        now = time.perf_counter()
        phases.append((phase, now - last))
        last = now

    async with engine.begin() as db:
        run_id = await plan_matches(db, kind=kind, now=NOW, keyring=KEYRING, tell=tell)
    tell("store")
    step = await take(engine, run_id, at_most)
    await engine.dispose()
    total: Counter[str] = Counter()
    for phase, seconds in phases:
        total[phase] += seconds  # type: ignore[assignment]
    told = [(f"{kind.value}: {phase}", f"{seconds:.1f} s") for phase, seconds in total.items()]
    in_all = f"{sum(seconds for _, seconds in phases):.1f} s"
    return [*told, (f"{kind.value}: in all", in_all), (f"{kind.value}: a step, median", step)]


async def found_people(bench: Bench, found: Sequence[Record]) -> list[tuple[str, str]]:
    """Compare pairs of accounts that are one member's with the truth."""
    connection = await asyncpg.connect(bench.url)
    rows = await connection.fetch(
        """SELECT l.account_id, coalesce(m.merged_into, m.member_id)
           FROM account_link l JOIN member m USING (member_id) WHERE upper_inf(l.valid)"""
    )
    planned = await connection.fetch(
        "SELECT account_ids FROM match_step WHERE kind = 'merge' AND outcome = 'left'"
    )
    asked = await connection.fetchval("SELECT count(*) FROM review_item WHERE state = 'open'")
    steps = await connection.fetch(
        "SELECT kind, outcome, count(*) FROM match_step GROUP BY 1, 2 ORDER BY 1, 2"
    )
    await connection.close()
    whose = {r.account_id: r.whose for r in found}
    groups: dict[int, list[int]] = defaultdict(list)
    member = dict(rows)
    leads: dict[int, int] = {}

    def leader(one: int) -> int:
        while one in leads:
            one = leads[one]
        return one

    for (pair,) in planned:
        a, b = sorted(leader(member[account_id]) for account_id in pair)
        if a != b:
            leads[b] = a
    for account_id, member_id in rows:
        groups[leader(member_id)].append(whose[account_id])
    made = sum(len(g) * (len(g) - 1) // 2 for g in groups.values())
    right = sum(n * (n - 1) // 2 for g in groups.values() for n in Counter(g).values())
    there = sum(n * (n - 1) // 2 for n in Counter(whose.values()).values())
    return [
        ("pairs made one", f"{made:,}, of which false {made - right:,}"),
        ("precision, recall", f"{right / max(made, 1):.5f}, {right / max(there, 1):.4f}"),
        ("doubts put to people", f"{asked:,}"),
        ("steps", ", ".join(f"{k} {o}: {n:,}" for k, o, n in steps)),
    ]


def main() -> None:
    """Match all, change some, match those."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--people", type=int, default=60_000)
    options.add_argument("--steps", type=int, default=500, help="take so many, leave the rest")
    options.add_argument("--changed", type=float, default=0.01)
    chosen = options.parse_args()
    draw = random.Random(3)
    people = population(chosen.people, draw)
    found = list(records(people, draw))
    with bench_server() as bench:
        asyncio.run(bench.run(*GROUP))
        asyncio.run(seed(bench, found))
        asyncio.run(bench.run(*AFTER_SEED))
        rows = [("accounts", f"{len(found):,} of {len(people):,} people")]
        rows += asyncio.run(run(bench, Kind.FULL, chosen.steps))
        rows += asyncio.run(found_people(bench, found))
        changed = asyncio.run(change(bench, found, people, chosen.changed))
        rows.append(("accounts changed", f"{changed:,}"))
        rows += asyncio.run(run(bench, Kind.INCREMENTAL, chosen.steps))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append(("peak memory", f"{peak:,.0f} MB, with the made-up people"))
        report("Match over the database", bench, rows)


if __name__ == "__main__":
    main()
