"""The same operations on the same database by their plans and by their resolvers, in turn.

`card` is a member's own card: name, tier with the way to the next, balance, accounts, up to 10
entitlements, 10 entries; `list` a page of 50 members with name, tier and balance, asked by staff;
`bare list` the same without names, which are ciphertext. Every operation has its caller checked,
its variables coerced and its cost reckoned, and ends as JSON; what a web server does around it is
not in it. Windows alternate, and the best of each side counts.
`python -m bench.graphql.plans`
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine
from strawberry.types import ExecutionResult

from bench.common import Bench, bench_server, report
from bench.graphql.world import fill, open_group
from graphql_schema.context import Context
from graphql_schema.executing import HubSchema
from graphql_schema.pages import cursor
from graphql_schema.schema import build_schema
from hub.clock import now
from hub.crypto import tokens
from hub.crypto.keyring import Keyring
from hub.crypto.tokens import Principal, Role
from hub.db.engine import make_engine, make_readers

CLIENTS = 32
STAFF = Principal(role=Role.STAFF, subject="bench")
CARD = """query Card { me { id number displayName
  tier { code name nameZh qualifying progress { nextName missingPoints by } }
  balance { available posted held pending } expiringSoon
  accounts { id externalId business { code name } }
  entitlements { benefit name granted remaining endsOn }
  entries(first: 10) { edges { cursor node { id kind points businessDate business { name } } }
    pageInfo { hasNextPage endCursor } } } }"""
LIST = """query List($first: Int!, $after: String) { members(first: $first, after: $after) {
  edges { node { id number %s tier { code name } balance { available pending } } }
  pageInfo { hasNextPage endCursor } } }"""
Execute = Callable[..., Awaitable[ExecutionResult]]


class Desk:
    """A schema on a filled database, and who asks."""

    def __init__(
        self, engine: AsyncEngine, readers: AsyncEngine, keyring: Keyring, members: list[int]
    ) -> None:
        self.engine, self.readers = engine, readers
        self.keyring, self.members = keyring, members
        self.schema: HubSchema = build_schema()
        self.random = Random(1)

    async def card(self, execute: Execute) -> bytes:
        """Ask for the card of somebody."""
        who = tokens.member(self.random.choice(self.members))
        return await self._ask(execute, CARD, who, {})

    async def page(self, execute: Execute, *, names: str) -> bytes:
        """Ask for a page of 50 members, somewhere in the list."""
        after = cursor((self.random.choice(self.members),))
        return await self._ask(execute, LIST % names, STAFF, {"first": 50, "after": after})

    async def _ask(
        self, execute: Execute, query: str, who: Principal, variables: dict[str, Any]
    ) -> bytes:
        context = Context(
            self.engine, readers=self.readers, keyring=self.keyring, principal=who, now=now()
        )
        async with context:
            result = await execute(query, variable_values=variables, context_value=context)
        if result.errors:
            raise RuntimeError(result.errors)
        return orjson.dumps({"data": result.data})


async def window(ask: Callable[[], Awaitable[bytes]], *, clients: int, seconds: float) -> float:
    """Return how many operations a second `clients` get answered who ask without a pause."""
    done, ends = 0, time.perf_counter() + seconds

    async def client() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            await ask()
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return done / (time.perf_counter() - began)


async def measure(bench: Bench, *, members: int, seconds: float, rounds: int) -> None:
    """Fill the database, ask both ways in turn, and print the best of each."""
    keyring = Keyring.generate()
    await open_group(bench.url, keyring)
    engine = make_engine(bench.url, pool_size=8)
    readers = make_readers(bench.url, pool_size=8)
    desk = Desk(engine, readers, keyring, await fill(engine, keyring, members))
    await bench.run("VACUUM ANALYZE")
    operations = {
        "card": desk.card,
        "list": partial(desk.page, names="displayName"),
        "bare list": partial(desk.page, names=""),
    }
    lines = []
    for name, ask in operations.items():
        await ask(desk.schema.execute)  # the document becomes known
        before = desk.schema.plans.answered
        assert len(await ask(desk.schema.execute)) > 100
        assert desk.schema.plans.answered > before
        best = {"plan": 0.0, "resolvers": 0.0}
        for _ in range(rounds):
            for way, execute in (("plan", desk.schema.execute), ("resolvers", desk.schema.resolve)):
                got = await window(partial(ask, execute), clients=CLIENTS, seconds=seconds)
                best[way] = max(best[way], got)
        ratio = best["plan"] / best["resolvers"]
        lines.append((name, f"plan {best['plan']:,.0f}/s, resolvers {best['resolvers']:,.0f}/s: "
                            f"{ratio:.1f} ×"))  # fmt: skip
    await readers.dispose()
    await engine.dispose()
    await asyncio.to_thread(
        report, f"Plans against resolvers, {members:,} members, {CLIENTS} clients", bench, lines
    )


def main() -> None:
    """Start a server, measure, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--members", type=int, default=5_000)
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with bench_server() as bench:
        asyncio.run(
            measure(bench, members=chosen.members, seconds=chosen.seconds, rounds=chosen.rounds)
        )


if __name__ == "__main__":
    main()
