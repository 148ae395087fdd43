"""The sandbox as tests use it: its world as data, and its APIs answering on a real port."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

import uvicorn
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from connectors.sandbox.accounts import connections
from connectors.sandbox.app import create_app
from connectors.sandbox.delivery import Delivery
from connectors.sandbox.second.accounts import connections as second_connections
from connectors.sandbox.second.world import SIZE, Second
from connectors.sandbox.signing import Signed, sign
from connectors.sandbox.world import World, build
from hub.clock import now
from hub.connector import Inbound
from hub.crypto.keyring import Keyring
from hub.entrypoints.commands.programme import apply_group, read_group
from hub.entrypoints.sample import CONNECTIONS, GROUP_FILE, connected_group
from hub.intake.accept import accept
from hub.intake.actors import Intake
from hub.intake.connections import ConnectionConfig, Switchboard
from hub.jobs.runtime import Runtime

SEED = 7
TODAY = date(2026, 11, 1)
HUB = "http://hub.test"
BUSINESSES = {
    "woocommerce": "bund-outfitters",
    "youzan": "bund-outfitters",
    "canonical": "bund-outfitters",
    "toast": "jade-kitchen",
    "apaleo": "lakeside-hotel",
    "ohip": "lakeside-hotel",
    "opentravel": "lakeside-hotel",
}
"""Whose the systems of the second world are."""


def world() -> World:
    """The world that the tests play."""
    return build(SEED, TODAY)


def second(size: int = SIZE) -> Second:
    """The second world that the tests play."""
    return Second(SEED, TODAY, size)


@contextmanager
def serving(size: int = SIZE) -> Iterator[str]:
    """Serve the sandbox's APIs on a port of this machine; yields its address.

    `size` is that of the second world.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = uvicorn.Config(
        create_app(SEED, TODAY, size=size), host="127.0.0.1", port=port, log_level="warning"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


class Hub:
    """A configured hub without its processes: deliveries are accepted and worked on by call."""

    def __init__(
        self, engine: AsyncEngine, database_url: str, keyring: Keyring | None = None
    ) -> None:
        self.engine = engine
        self.database_url = database_url
        self.keyring = keyring or Keyring.generate()
        self.runtime = Runtime(engine=engine, keyring=self.keyring)
        self.intake = Intake(self.runtime)
        self.switchboard = Switchboard(self.keyring)
        self.secrets: dict[str, str] = {}
        self.codes = {name: code for name, (code, _) in CONNECTIONS.items()}

    async def configure(self, sandbox_url: str) -> None:
        """Configure the sample group with connections to the sandbox."""
        offered = self.know(sandbox_url)
        await apply_group(self.database_url, self.keyring, connected_group(offered))

    def know(self, sandbox_url: str) -> dict[str, Any]:
        """Learn how the sandbox signs, as is enough where it is configured already."""
        offered = connections(sandbox_url)
        self.secrets = {name: offered[name]["secrets"][0] for name in CONNECTIONS}
        return offered

    async def configure_second(
        self,
        sandbox_url: str,
        *systems: str,
        config: Mapping[str, Mapping[str, Any]] | None = None,
        rules: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Configure the sample group with connections of the second world.

        `config` changes those of systems, `rules` the earning rules of businesses.
        """
        offered = second_connections(sandbox_url)
        self.codes = {name: name for name in systems}
        self.secrets = {name: offered[name]["secrets"][0] for name in systems}
        connections = tuple(
            ConnectionConfig(
                code=name,
                business=BUSINESSES[name],
                connector=name,
                secrets=offered[name]["secrets"],
                config={**offered[name]["config"], **(config or {}).get(name, {})},
            )
            for name in systems
        )
        group = read_group(GROUP_FILE)
        earning_rules = tuple(
            type(rule).model_validate({**rule.model_dump(), **(rules or {}).get(rule.business, {})})
            for rule in group.earning_rules
        )
        changed = {"connections": connections, "earning_rules": earning_rules}
        await apply_group(self.database_url, self.keyring, group.model_copy(update=changed))

    def signed(self, delivery: Delivery, copy: int = 0) -> Signed:
        """Sign a delivery as its system would for this hub."""
        url = f"{HUB}/hooks/{self.codes[delivery.system]}"
        return sign(delivery, url=url, secret=self.secrets[delivery.system], copy=copy)

    async def accept(self, delivery: Delivery, copy: int = 0) -> int:
        """Accept a delivery as the web process does."""
        async with self.engine.begin() as db:
            return await self.store(db, delivery, copy)

    async def store(self, db: AsyncConnection, delivery: Delivery, copy: int = 0) -> int:
        """Accept a delivery without committing."""
        signed = self.signed(delivery, copy)
        wired = await self.switchboard.by_code(db, self.codes[delivery.system], now=now())
        inbound = Inbound(body=signed.body, headers=signed.headers, url=signed.url)
        return await accept(db, wired=wired, inbound=inbound, now=now(), keyring=self.keyring)

    async def work(self, batch: int = 100) -> None:
        """Work on everything that is due, as workers do."""
        while ids := await self.due():
            for start in range(0, len(ids), batch):
                await self.intake.run(ids[start : start + batch])

    async def due(self) -> list[int]:
        """The ids of the messages that are due."""
        async with self.engine.connect() as db:
            found = await db.scalars(
                text("""
                  SELECT message_id FROM outbox_message
                  WHERE actor = 'intake.process' AND dead_at IS NULL AND available_at <= now()
                  ORDER BY message_id""")
            )
            return list(found)

    async def rows(self, query: str, **facts: object) -> list[tuple[object, ...]]:
        """Return a query's rows as plain tuples."""
        async with self.engine.connect() as db:
            return [tuple(row) for row in await db.execute(text(query), facts)]
