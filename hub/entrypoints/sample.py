"""The sample group: a shop, a hotel and a restaurant, fed through the front door.

The upstream systems are played by whatever is installed under the entry point `hub.sandbox`; it
sends webhooks to the hub, and tills redeem through GraphQL. Nothing is written behind their backs,
and loading twice changes nothing: every fact and every redemption has its key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.accounting.approve_estimate import approve_estimate
from hub.accounting.estimates import estimates
from hub.accounting.policies import policies
from hub.accounting.propose_estimate import propose_estimate
from hub.accounting.set_policy import set_policy
from hub.benefits.rewards.stock import stock
from hub.config import Settings
from hub.crypto.keyring import Keyring
from hub.entrypoints.commands.programme import GroupFile, apply_group, read_group
from hub.errors import Unavailable
from hub.intake.connections import ConnectionConfig
from hub.ledger.codes import Unit
from hub.programme.queries import businesses

GROUP_FILE = Path(__file__).with_name("sample_group.toml")
# Which business speaks which dialect, and what its connection is called.
CONNECTIONS = {
    "shopify": ("bund-shopify", "bund-outfitters"),
    "mews": ("lakeside-mews", "lakeside-hotel"),
    "square": ("jade-square", "jade-kitchen"),
}
# How many of the points granted are expected to be redeemed.
EXPECTED_REDEMPTION = {
    "bund-outfitters": Decimal("0.8"),
    "lakeside-hotel": Decimal("0.9"),
    "jade-kitchen": Decimal("0.75"),
}
SCARVES = 20
ACCOUNTANT, CONTROLLER = "sample accountant", "sample controller"
_SINCE = date(2020, 1, 1)
# The sample is loaded once: this row says that it was, to the end.
_LOADED = {"job": "sample.load", "slot": datetime(2000, 1, 1, tzinfo=UTC)}


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The server that plays the upstream systems."""

    url: str

    async def connections(self) -> dict[str, dict[str, Any]]:
        """Ask how connections to it are configured, by connector."""
        found: dict[str, dict[str, Any]] = await self._ask("GET", "/connections")
        return found

    async def summary(self) -> dict[str, Any]:
        """Ask what it is going to send."""
        found: dict[str, Any] = await self._ask("GET", "/world")
        return found

    async def phones(self) -> list[str]:
        """Ask for the phones that its people would give at a till."""
        return [person["phone"] for person in await self._ask("GET", "/people")]

    async def play(self, hub_url: str, secrets: dict[str, str]) -> dict[str, Any]:
        """Have it send everything to the hub; returns when the hub has accepted it."""
        targets = {
            name: {"path": f"/hooks/{CONNECTIONS[name][0]}", "secret": secret}
            for name, secret in secrets.items()
        }
        played: dict[str, Any] = await self._ask(
            "POST", "/play", {"hub_url": hub_url, "connections": targets}
        )
        return played

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        try:
            async with httpx2.AsyncClient(base_url=self.url, timeout=300) as http:
                answer = await http.request(method, path, json=body)
                answer.raise_for_status()
                return answer.json()
        except httpx2.HTTPError as failure:
            raise Unavailable(
                f"the sandbox at {self.url} does not answer ({type(failure).__name__}): is "
                "`hub up --sample` running?"
            ) from failure


async def is_loaded(db: AsyncConnection) -> bool:
    """Say whether the sample was loaded to the end."""
    query = text("SELECT 1 FROM job_run WHERE job = :job AND slot = :slot")
    return (await db.scalar(query, _LOADED)) is not None


async def mark_loaded(db: AsyncConnection) -> None:
    """Remember that the sample was loaded to the end."""
    await db.execute(
        text("INSERT INTO job_run (job, slot) VALUES (:job, :slot) ON CONFLICT DO NOTHING"), _LOADED
    )


def connected_group(offered: Mapping[str, dict[str, Any]]) -> GroupFile:
    """Return the sample group with the connections that a sandbox offers, by connector."""
    connections = tuple(
        ConnectionConfig(
            code=CONNECTIONS[name][0], business=CONNECTIONS[name][1], connector=name, **settings
        )
        for name, settings in offered.items()
    )
    return read_group(GROUP_FILE).model_copy(update={"connections": connections})


async def configure(settings: Settings, keyring: Keyring, sandbox: Sandbox) -> dict[str, str]:
    """Configure the group and its connections; returns each connection's secret by connector."""
    offered = await sandbox.connections()
    secrets = {name: offered[name]["secrets"][0] for name in CONNECTIONS}
    await apply_group(settings.require_database_url(), keyring, connected_group(offered))
    return secrets


async def account(db: AsyncConnection, *, now: datetime) -> None:
    """Say how the group's points are accounted for, where nobody has: a cent each, owed by whom
    they are of; one person expects how many of them will be redeemed, another agrees.
    """
    versions, approved = await policies(db), await estimates(db, state="approved")
    for business in await businesses(db):
        if business.code not in EXPECTED_REDEMPTION:
            continue
        issuer_id = business.business_id
        if (issuer_id, Unit.SPENDABLE) not in versions:
            await set_policy(
                db,
                issuer_id=issuer_id,
                effective_from=_SINCE,
                point_value=Decimal("0.01"),
                actor=CONTROLLER,
                now=now,
            )
        if not any(one.issuer_id == issuer_id for one in approved):
            proposed = await propose_estimate(
                db,
                issuer_id=issuer_id,
                rate=EXPECTED_REDEMPTION[business.code],
                effective_from=_SINCE,
                maker=ACCOUNTANT,
                reason="the sample group's",
                now=now,
            )
            await approve_estimate(
                db, estimate_id=proposed.estimate_id, checker=CONTROLLER, now=now
            )


async def stock_shelves(db: AsyncConnection, *, now: datetime) -> None:
    """Receive the scarves that members can have for points, once."""
    await stock(
        db,
        reward_code="silk-scarf",
        quantity=SCARVES,
        actor="sample",
        idempotency_key="sample",
        now=now,
    )


async def progress_of(engine: AsyncEngine) -> tuple[int, int]:
    """Return how many deliveries have been worked on, and how many are still to be."""
    async with engine.connect() as db:
        row = (
            await db.execute(
                text("""
                  SELECT count(*) FILTER (WHERE state <> 'pending') AS done,
                    count(*) FILTER (WHERE state = 'pending') AS pending FROM delivery""")
            )
        ).one()
    return row.done, row.pending
