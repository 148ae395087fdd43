"""Every dialect at once: how long after each system is answered are its points visible?

As `bench.webhook`, but the load is mixed over all dialects, evenly, each system's in its own order;
the sandbox that thin events are completed from shares the machine too. A delivery is visible once
the transaction that posted its facts has closed it. `python -m bench.mixed`
"""

import argparse
import asyncio
import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from hashlib import sha256

import asyncpg
import httpx2

from bench import cpu
from bench.webhook import GOAL_P99_SECONDS, Run, percentiles, with_hub
from connectors.sandbox import accounts, load
from connectors.sandbox.delivery import Delivery
from connectors.sandbox.second import accounts as second
from connectors.sandbox.second.world import Second
from connectors.sandbox.signing import Signed, sign
from connectors.sandbox.stage import ZONE
from connectors.sandbox.world import build
from hub.clock import now
from hub.config import Settings
from hub.connector.registry import connector
from hub.crypto.keyring import load as load_keyring
from hub.entrypoints.commands.programme import apply_group, read_group
from hub.entrypoints.embedded import postgres
from hub.entrypoints.sample import GROUP_FILE
from hub.intake.connections import ConnectionConfig
from hub.intake.scrub import scrub

SEED = 7
# About how many deliveries a bill or a stay of the second world makes, in all its systems.
_PER_BILL = 14
_QUIET_SECONDS = 15
_LOOK_BACK = 100
# Seldom enough to leave the cores to the hub; what is seen late counts as late.
_POLL_SECONDS = 0.05
_BUSINESSES = {
    "shopify": "bund-outfitters",
    "woocommerce": "bund-outfitters",
    "youzan": "bund-outfitters",
    "canonical": "bund-outfitters",
    "square": "jade-kitchen",
    "toast": "jade-kitchen",
}


class Mixed(Run):
    """One load; deliveries are named by the digest of their body."""

    async def _watch(self, count: int) -> None:
        database = await asyncpg.connect(self.database_url)
        deadline = time.monotonic() + 180
        last, waiting = 0, dict[int, str]()
        known = set[int]()
        while len(self.visible) < count and time.monotonic() < deadline:
            # A delivery may be committed after one with a higher number.
            rows = await database.fetch(
                "SELECT delivery_id, body_sha256 FROM delivery WHERE delivery_id > $1",
                last - _LOOK_BACK,
            )
            for row in rows:
                if row["delivery_id"] not in known:
                    known.add(row["delivery_id"])
                    waiting[row["delivery_id"]] = row["body_sha256"].hex()
                last = max(last, row["delivery_id"])
            rows = await database.fetch("SELECT delivery_id FROM delivery WHERE state = 'pending'")
            seen = time.monotonic()
            for closed in waiting.keys() - {row["delivery_id"] for row in rows}:
                name = waiting.pop(closed)
                if name in self.sent:
                    self.visible[name] = seen
            await asyncio.sleep(_POLL_SECONDS)
        await database.close()


def deliveries(systems: list[str], count: int, size: int) -> list[Delivery]:
    """Return `count` deliveries of these systems, evenly mixed; Shopify's fill up."""
    today = now().astimezone(ZONE).date()
    by_system: dict[str, dict[bytes, Delivery]] = defaultdict(dict)
    for one in (*build(SEED, today).deliveries, *Second(SEED, today, size).deliveries):
        if one.system in systems and one.system != "shopify":
            by_system[one.system].setdefault(one.body, one)
    share = count // len(systems)
    chosen = {system: list(found.values())[:share] for system, found in by_system.items()}
    if "shopify" in systems:
        left = count - sum(map(len, chosen.values()))
        chosen["shopify"] = list(load.orders(left, at=now(), seed=SEED))
    placed = [
        ((n + 0.5) / len(found), system, n)  # noqa: RUF100  (a place in the queue, no money)
        for system, found in chosen.items()
        for n in range(len(found))
    ]
    return [chosen[system][n] for _, system, n in sorted(placed)]


def offered(settings: Settings) -> Mapping[str, Mapping[str, object]]:
    """Return how connections to the sandbox are configured, of both worlds."""
    url = settings.sandbox_url
    return {**accounts.connections(url), **second.connections(url)}


async def configure(settings: Settings) -> None:
    """Configure the sample group with a connection to every system, named like it."""
    connections = tuple(
        ConnectionConfig.model_validate(
            {
                "code": name,
                "business": _BUSINESSES.get(name, "lakeside-hotel"),
                "connector": name,
                **how,
            }
        )
        for name, how in offered(settings).items()
    )
    group = read_group(GROUP_FILE).model_copy(update={"connections": connections})
    await apply_group(settings.require_database_url(), load_keyring(settings.keyring_path), group)
    async with httpx2.AsyncClient(base_url=settings.sandbox_url) as http:
        for _ in range(600):
            try:
                await http.get("/healthz")
            except httpx2.HTTPError:
                await asyncio.sleep(0.1)
            else:
                return


def signed(settings: Settings, wanted: list[Delivery]) -> list[tuple[str, Signed]]:
    """Sign deliveries, each under the digest that the hub will keep of it."""
    secrets = {name: how["secrets"][0] for name, how in offered(settings).items()}  # type: ignore[index]
    return [
        (
            sha256(scrub(one.body)[0]).hexdigest(),
            sign(
                one,
                url=f"{settings.base_url}/hooks/{one.system}",
                secret=secrets[one.system],
            ),
        )
        for one in wanted
    ]


async def settled(database_url: str) -> None:
    """Wait until what is due when a hub starts, a day's pulls and a night's match, is done."""
    database = await asyncpg.connect(database_url)
    quiet = 0
    while quiet < _QUIET_SECONDS:
        waiting = await database.fetchval(
            "SELECT count(*) FROM outbox_message WHERE dead_at IS NULL AND available_at <= now()"
        )
        quiet = 0 if waiting else quiet + 1
        await asyncio.sleep(1)
    await database.close()


def rows_of(run: Run, rate: int, system_of: Mapping[str, str]) -> list[tuple[str, str]]:
    """Describe the whole, then each dialect against its own deadline."""
    visible = [run.visible[one] - run.answered[one] for one in run.visible]
    whole = percentiles(visible)
    load_now = os.getloadavg()[0]
    rows = [
        (
            f"{rate} deliveries/s offered",
            f"{len(run.visible)} of {len(run.sent)} visible, {run.refused} refused",
        ),
        (
            "  visible after the answer",
            f"p50 {whole[0] * 1e3:.0f} ms, p99 {whole[1] * 1e3:.0f} ms "
            f"(p99 to the goal of 1 s: {whole[1] / GOAL_P99_SECONDS:.2f})",
        ),
        ("  the machine's load at the end", f"{load_now:.1f} on {os.cpu_count()} cores"),
    ]
    for system in sorted(set(system_of.values())):
        own = [one for one in run.answered if system_of[one] == system]
        answered = [run.answered[one] - run.sent[one] for one in own]
        seen = [run.visible[one] - run.answered[one] for one in own if one in run.visible]
        if len(seen) < 2:
            continue
        a50, a99 = percentiles(answered)
        v50, v99 = percentiles(seen)
        deadline = connector(system).spec.acknowledge_within_seconds
        rows.append(
            (
                f"  {system} ({len(own)})",
                f"answered p50 {a50 * 1e3:.0f}, p99 {a99 * 1e3:.0f}, most {max(answered) * 1e3:.0f}"
                f" of {deadline * 1e3:.0f} ms; visible p50 {v50 * 1e3:.0f}, p99 {v99 * 1e3:.0f} ms",
            )
        )
    return rows


def main() -> None:
    """Run the hub and the sandbox, offer the mixed load, and print what was seen."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--rate", type=int, default=200)
    options.add_argument("--systems", nargs="+", help="only these dialects")
    options.add_argument("--statements", type=int, default=0, help="show so many of the dearest")
    chosen = options.parse_args()
    count = chosen.rate * chosen.seconds
    warm_up = chosen.rate
    size = max((count + warm_up) // _PER_BILL, 16)

    def beside(settings: Settings) -> dict[str, list[str]]:
        port = settings.sandbox_url.rsplit(":", 1)[1]
        argv = ["connectors.sandbox", "--port", port, "--seed", str(SEED), "--size", str(size)]
        return {"sandbox": [sys.executable, "-P", "-m", *argv]}

    def measure(settings: Settings, rows: list[tuple[str, str]]) -> None:
        asyncio.run(configure(settings))
        Run.database_url = settings.require_database_url()
        systems = chosen.systems or list(offered(settings))
        wanted = deliveries(systems, count + warm_up, size)
        first, rest = wanted[:warm_up], wanted[warm_up:]
        asyncio.run(Mixed().offer(signed(settings, first), max(chosen.rate // 4, 1)))
        asyncio.run(settled(settings.require_database_url()))
        run = Mixed()
        orders = signed(settings, rest)
        names = {name: one.system for (name, _), one in zip(orders, rest, strict=True)}
        port = int(Run.database_url.rsplit(":", 1)[1].partition("/")[0])
        seer = postgres.superuser_url(settings.state_dir / "postgres", port)
        asyncio.run(cpu.begin_statements(seer))
        before = cpu.spent()
        asyncio.run(run.offer(orders, chosen.rate))
        after = cpu.spent()
        rows += rows_of(run, chosen.rate, names)
        rows += cpu.rows_of(before, after, len(orders))
        if chosen.statements:
            shown = cpu.statements(seer, len(orders), most=chosen.statements)
            rows += asyncio.run(shown)

    with_hub("Every dialect at once", measure, beside)


if __name__ == "__main__":
    main()
