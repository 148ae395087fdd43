"""Webhook to visible: how long after a shop's till is answered can the member see the points?

The whole hub runs as `hub up` runs it: API, worker, scheduler, PostgreSQL with fsync, Valkey, and
this load generator share the machine. Orders come signed, at a steady rate; a reader asks the
database for what is visible. `python -m bench.webhook`
"""

import argparse
import asyncio
import os
import shutil
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import asyncpg

from bench.common import Bench, report
from bench.sender import Sender, written
from connectors.sandbox import load
from connectors.sandbox.accounts import connections
from connectors.sandbox.signing import Signed, sign
from hub.clock import now
from hub.config import Settings
from hub.crypto.keyring import load as load_keyring
from hub.entrypoints.commands.programme import apply_group
from hub.entrypoints.sample import CONNECTIONS, connected_group
from hub.entrypoints.stack import processes_of, running_stack

POLL_SECONDS = 0.02
AT_ONCE = 200
GOAL_P99_SECONDS = 1.0


async def configure(settings: Settings) -> str:
    """Configure the sample group with its shop; returns the shop's signing secret."""
    offered = connections("http://127.0.0.1:9")["shopify"]
    group = connected_group({"shopify": offered})
    await apply_group(settings.require_database_url(), load_keyring(settings.keyring_path), group)
    secret: str = offered["secrets"][0]
    return secret


def signed_orders(count: int, base_url: str, secret: str, seed: int) -> list[tuple[str, Signed]]:
    """Prepare orders with their ids; nothing of this is measured."""
    url = f"{base_url}/hooks/{CONNECTIONS['shopify'][0]}"
    first = 990_000_000 + seed * 1_000_000
    return [
        (str(first + n), sign(order, url=url, secret=secret))
        for n, order in enumerate(load.orders(count, at=now(), seed=seed))
    ]


class Run:
    """One load: when each order was answered, and when its points were seen."""

    database_url = ""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self.answered: dict[str, float] = {}
        self.visible: dict[str, float] = {}
        self.refused = 0

    async def offer(self, orders: Sequence[tuple[str, Signed]], rate: float) -> None:
        """Send the orders at `rate` a second (0: as fast as 32 connections go), and watch."""
        watching = asyncio.create_task(self._watch(len(orders)))
        requests = [(order_id, written(signed)) for order_id, signed in orders]
        sender = Sender(orders[0][1].url)
        started = time.monotonic()
        tasks = []
        for n, (order_id, request) in enumerate(requests):
            if rate:
                await asyncio.sleep(max(0.0, started + n / rate - time.monotonic()))
            tasks.append(asyncio.create_task(self._send(sender, order_id, request)))
        await asyncio.gather(*tasks)
        sender.close()
        await watching

    async def _send(self, sender: Sender, order_id: str, request: bytes) -> None:
        self.sent[order_id] = time.monotonic()
        status = await sender.send(request)
        self.answered[order_id] = time.monotonic()
        self.refused += not 200 <= status < 300

    async def _watch(self, count: int) -> None:
        connection = await asyncpg.connect(self.database_url)
        deadline = time.monotonic() + 120
        while len(self.visible) < count and time.monotonic() < deadline:
            # Only the oldest are asked for: the watch must not become the load.
            waiting = [one for one in self.sent if one not in self.visible][:AT_ONCE]
            rows = await connection.fetch(
                "SELECT source_id FROM business_fact WHERE kind = 'sale' AND source_id = ANY($1)",
                waiting,
            )
            seen = time.monotonic()
            self.visible.update((row["source_id"], seen) for row in rows)
            await asyncio.sleep(POLL_SECONDS)
        await connection.close()


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """Return p50 and p99 in seconds."""
    cuts = statistics.quantiles(values, n=100)
    return cuts[49], cuts[98]


def rows_of(run: Run, rate: int) -> list[tuple[str, str]]:
    """Describe a run at a steady rate."""
    accept = percentiles([run.answered[one] - run.sent[one] for one in run.answered])
    visible = percentiles([run.visible[one] - run.answered[one] for one in run.visible])
    return [
        (f"{rate} deliveries/s offered", f"{len(run.visible)} visible, {run.refused} refused"),
        ("  answered after", f"p50 {accept[0] * 1e3:.0f} ms, p99 {accept[1] * 1e3:.0f} ms"),
        ("  visible after that", f"p50 {visible[0] * 1e3:.0f} ms, p99 {visible[1] * 1e3:.0f} ms"),
        ("  p99 to the goal of 1 s", f"{visible[1] / GOAL_P99_SECONDS:.2f}"),
    ]


def main() -> None:
    """Run the hub, offer load at steady rates and flat out, and print what was seen."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=15)
    options.add_argument("--rates", type=int, nargs="+", default=[50, 200])
    chosen = options.parse_args()
    with_hub("Webhook to visible", lambda settings, rows: _measure(settings, chosen, rows))


def with_hub(
    title: str,
    measure: Callable[[Settings, list[tuple[str, str]]], None],
    beside: Callable[[Settings], Mapping[str, list[str]]] = lambda settings: {},
) -> None:
    """Run the hub as `hub up` does, and what goes `beside` it; report what `measure` adds."""
    state = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    state.chmod(0o711)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {"HUB_STATE_DIR": str(state), "HUB_PORT": str(port)}
    settings = Settings()
    rows: list[tuple[str, str]] = []
    processes = {**processes_of(settings, sample=False), **beside(settings)}
    try:
        with running_stack(
            settings, processes=processes, say=lambda line: None, stop_wanted=lambda: False
        ) as supervisor:
            load_thread = threading.Thread(target=measure, args=(settings, rows))
            load_thread.start()
            supervisor.tend_until(lambda: not load_thread.is_alive())
            report(title, Bench(settings.require_database_url()), rows)
    finally:
        shutil.rmtree(state, ignore_errors=True)


def _measure(settings: Settings, chosen: argparse.Namespace, rows: list[tuple[str, str]]) -> None:
    secret = asyncio.run(configure(settings))
    Run.database_url = settings.require_database_url()
    for seed, rate in enumerate([20, *chosen.rates], start=1):
        run = Run()
        count = rate * (chosen.seconds if seed > 1 else 3)
        asyncio.run(run.offer(signed_orders(count, settings.base_url, secret, seed), rate))
        if seed > 1:  # the first run only warms up
            rows += rows_of(run, rate)
    run = Run()
    orders = signed_orders(2_000, settings.base_url, secret, 9)
    started = time.monotonic()
    asyncio.run(run.offer(orders, 0))
    accepted = len(orders) / (max(run.answered.values()) - started)
    drained = len(orders) / (max(run.visible.values()) - started)
    rows += [
        ("flat out, 2,000 deliveries", f"{accepted:,.0f}/s answered, {drained:,.0f}/s visible"),
        ("  visible to answered", f"{drained / accepted:.2f}"),
    ]


if __name__ == "__main__":
    main()
