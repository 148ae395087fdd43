"""A small group behind the real web application: what the API's tests share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message

from graphql_schema.context import Context
from graphql_schema.schema import build_schema
from hub.benefits.configure import configure
from hub.benefits.definitions import BenefitConfig
from hub.benefits.tiers.configure import TierConfig
from hub.benefits.tiers.promote import promote
from hub.clock import business_date, now
from hub.config import Settings
from hub.connector import Hint, HintType
from hub.crypto import tokens
from hub.crypto.keyring import Keyring, ensure
from hub.crypto.tokens import Principal, Role
from hub.db.engine import make_engine, make_readers
from hub.entrypoints.web import create_app
from hub.entrypoints.web_limits import Observed
from hub.members.resolve import Sighting, resolve
from hub.points.earn import earn
from hub.points.sale import Sale
from hub.programme.agree import AgreementConfig
from hub.programme.apply import (
    BusinessConfig,
    EarningRuleConfig,
    GroupConfig,
    ProgrammeConfig,
    apply,
)
from hub.programme.bill import BillLine
from hub.programme.policy_config import ExpiryPolicyConfig
from hub.programme.queries import businesses

ZONE = "Asia/Shanghai"
START = datetime(2020, 1, 1, tzinfo=UTC)
KINDS = {"shop": "retail", "hotel": "hotel", "diner": "dining"}
STAFF = Principal(role=Role.STAFF, subject="ann")
FINANCE = Principal(role=Role.FINANCE, subject="bo")
ADMIN = Principal(role=Role.ADMIN, subject="cy")
SHOP, HOTEL, DINER = (tokens.business(code) for code in KINDS)

PROGRAMME = ProgrammeConfig(
    group=GroupConfig(name="Three Rivers", time_zone=ZONE, currency="CNY"),
    businesses=[
        BusinessConfig(
            code=code,
            name=code.title(),
            kind=kind,
            legal_entity=f"{code}-ltd",
            legal_name=f"{code} Ltd",
            currency="CNY",
            country="CN",
            time_zone=ZONE,
            day_starts_at_hour=4 if code == "diner" else 0,
        )
        for code, kind in KINDS.items()
    ],
    earning_rules=[
        EarningRuleConfig(
            business=code,
            effective_from=START,
            points_per_unit=Decimal(1),
            qualifying_per_unit=Decimal(1),
            cost_per_point=Decimal("0.01"),
        )
        for code in KINDS
    ],
    expiry_policies=[ExpiryPolicyConfig(effective_from=START, months=12)],
    agreements=[
        AgreementConfig(
            issuer=issuer,
            acceptor=acceptor,
            effective_from=START.date(),
            rate_per_point=Decimal("0.008"),
            currency="CNY",
        )
        for issuer in KINDS
        for acceptor in KINDS
        if issuer != acceptor
    ],
)
TIERS = [
    TierConfig(
        code=code, effective_from=START, name=name, name_zh=zh, rank=rank, threshold=threshold
    )
    for rank, (code, name, zh, threshold) in enumerate(
        [("iron", "Iron", "铁", 0), ("silver", "Silver", "银", 1000), ("gold", "Gold", "金", 5000)]
    )
]
UPGRADE = BenefitConfig(
    code="room-upgrade",
    effective_from=START,
    name="Room upgrade",
    name_zh="客房升级",
    kind="upgrade",
    tier="silver",
    quota=2,
    funder="hotel",
    price_minor=5000,
    currency="CNY",
    offered_at=["hotel"],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A member of the test group, with an account at the business that saw them first."""

    member_id: int
    account_id: int

    @property
    def principal(self) -> Principal:
        return tokens.member(self.member_id)


class Api:
    """The application as a client sees it, and the group behind it."""

    def __init__(
        self,
        app: Observed,
        client: httpx2.AsyncClient,
        engine: AsyncEngine,
        keyring: Keyring,
        ids: dict[str, int],
        *,
        readers: AsyncEngine,
    ) -> None:
        self.app, self.client, self.keyring = app, client, keyring
        self.engine, self.readers = engine, readers
        self.ids = ids
        self.served: list[str] = []
        """The SQL statements that the application has executed, but for those of plans."""
        self._keys = 0

    def context(self, who: Principal | None, *, at: datetime) -> Context:
        """Return the context of one request at a time of the test's own."""
        return Context(
            self.engine, readers=self.readers, keyring=self.keyring, principal=who, now=at
        )

    def token(self, who: Principal) -> dict[str, str]:
        return {"authorization": f"Bearer {tokens.issue(self.keyring, who, now=now())}"}

    async def ask(
        self, query: str, who: Principal | None = None, **variables: Any
    ) -> dict[str, Any]:
        """Send one operation and return the whole answer."""
        response = await self.client.post(
            "/graphql",
            json={"query": query, "variables": variables},
            headers=self.token(who) if who else {},
        )
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def resolved(self, query: str, who: Principal | None = None) -> dict[str, Any]:
        """Return what resolvers answer to one operation, whether there is a plan or not."""
        async with self.context(who, at=now()) as context:
            result = await build_schema().resolve(query, context_value=context)
        errors = [error.formatted for error in result.errors or ()]
        return {"data": result.data} | ({"errors": errors} if errors else {})

    async def data(self, query: str, who: Principal | None = None, **variables: Any) -> Any:
        """Send one operation that must succeed and return its data."""
        answer = await self.ask(query, who, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    async def code(self, query: str, who: Principal | None = None, **variables: Any) -> str:
        """Send one operation that must fail and return the first error's code."""
        answer = await self.ask(query, who, **variables)
        code: str = answer["errors"][0]["extensions"]["code"]
        return code

    async def join(self, business: str, external_id: str, **said: str) -> Person:
        """Have a business see a person: name as said, everything else verified."""
        hints = tuple(
            Hint(type=HintType(kind), value=value, verified=kind != "name")
            for kind, value in said.items()
        )
        sighting = Sighting(
            business_id=self.ids[business], external_id=external_id, hints=hints, seen_at=now()
        )
        async with self.engine.begin() as db:
            [found] = await resolve(db, people=[sighting], now=now(), keyring=self.keyring)
        assert found.member_id is not None
        assert found.account_id is not None
        return Person(member_id=found.member_id, account_id=found.account_id)

    async def buy(self, person: Person, business: str, yuan: int, *, days_ago: int = 0) -> int:
        """Sell for `yuan`, which earns as many points, and give the tier that is due.

        Returns the posting.
        """
        self._keys += 1
        at = now() - timedelta(days=days_ago)
        sale = Sale(
            business_id=self.ids[business],
            idempotency_key=f"sale-{self._keys}",
            member_id=person.member_id,
            account_id=person.account_id,
            occurred_at=at,
            business_date=business_date(at, ZONE),
            currency="CNY",
            total_minor=yuan * 100,
            lines=(BillLine(id=f"line-{self._keys}", kind="item", net_minor=yuan * 100),),
            tenders=(),
        )
        async with self.engine.begin() as db:
            [earned] = await earn(db, sales=[sale], now=now())
            await promote(db, member_ids=[person.member_id], now=now(), time_zone=ZONE)
        return earned.tx_id or 0


async def open_group(database_url: str) -> None:
    """Configure the small group on an empty database."""
    engine = make_engine(database_url)
    async with engine.begin() as db:
        await apply(db, config=PROGRAMME)
        await configure(db, tiers=TIERS, benefits=[UPGRADE])
    await engine.dispose()


@asynccontextmanager
async def running_api(
    database_url: str, redis_url: str, place: Path, **chosen: Any
) -> AsyncIterator[Api]:
    """The application on the group that `open_group` configured, with `chosen` settings."""
    keyring = ensure(place / "keyring.json")
    settings = Settings(
        database_url=database_url,
        redis_url=redis_url,
        keyring_file=place / "keyring.json",
        max_body_bytes=100_000,
        pool_size=8,
        log_level="info",
        **chosen,
    )
    app = create_app(settings)
    async with started(app), _client(app) as client:
        engine = make_engine(database_url, pool_size=4)
        readers = make_readers(database_url, pool_size=4)
        try:
            async with engine.connect() as db:
                ids = {b.code: b.business_id for b in await businesses(db)}
            api = Api(app, client, engine, keyring, ids, readers=readers)
            for served in _engines_of(app):
                event.listen(served, "before_cursor_execute", partial(_note, api.served))
                event.listen(served, "connect", partial(_note_posts, api.served))
            yield api
        finally:
            await readers.dispose()
            await engine.dispose()


def _engines_of(app: Observed) -> list[Engine]:
    assert isinstance(app.app, Starlette)
    state = app.app.state.hub
    return [state.engine.sync_engine, state.readers.sync_engine]


def _note(served: list[str], *facts: Any) -> None:
    served.append(facts[2])


def _note_posts(served: list[str], connection: Any, *_: Any) -> None:
    """Note what goes to the driver without SQLAlchemy: a plan's read, or a write by itself."""

    def note(record: Any) -> None:
        if "FROM redeem_at_till(" in record.query:
            served.append(record.query)

    connection.driver_connection.add_query_logger(note)


def _client(app: ASGIApp) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://hub.test")


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[None]:
    """Run an application's lifespan as a server does."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    outbox: asyncio.Queue[Message] = asyncio.Queue()
    running = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, inbox.get, outbox.put)
    )
    await inbox.put({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    yield
    await inbox.put({"type": "lifespan.shutdown"})
    assert (await outbox.get())["type"] == "lifespan.shutdown.complete"
    await running
