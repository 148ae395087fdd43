"""The sandbox's Square can be asked for all that happened, and it is what its webhooks say."""

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import httpx2

from connectors.dining.square import connector
from connectors.sandbox.accounts import connections
from connectors.sandbox.app import create_app
from connectors.sandbox.world import build
from hub.connector import Answered, Connection, EventType, parse_json, read_as
from hub.errors import Malformed

TODAY = date(2026, 3, 15)
BASE = "http://sandbox"
NAMES = {
    EventType.SALE_COMPLETED: "sales",
    EventType.PAYMENT_RECORDED: "payments",
    EventType.REFUND_RECORDED: "refunds",
}


class InProcess:
    """The sandbox's APIs without a network between."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def fetch(self, method: str, path: str, **more: Any) -> Answered:
        answer = await self.http.request(method, path, **more)
        if answer.is_error:
            raise Malformed(f"{path} answered {answer.status_code}", field=path)
        return Answered(body=answer.content, headers=dict(answer.headers))

    async def request(self, method: str, path: str, **more: Any) -> Any:
        return parse_json((await self.fetch(method, path, **more)).body)


async def test_all_streams_together_tell_the_story() -> None:
    given = connections(BASE)["square"]
    connection = Connection(
        connection_id="square",
        config=read_as(connector.spec.config, given["config"]),
        secrets=given["secrets"],
        time_zone="Asia/Shanghai",
        currency="CNY",
    )
    transport = httpx2.ASGITransport(app=create_app(7, TODAY))
    facts: dict[Any, str] = {}
    pages = Counter[str]()
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as http:
        client = InProcess(http)
        for stream in connector.streams:
            cursor, done = None, False
            while not done:
                page = await connector.pull(
                    client,
                    stream,
                    cursor,
                    connection,
                    since=datetime(2026, 1, 1, tzinfo=UTC),
                    until=datetime(2026, 3, 15, tzinfo=UTC),
                )
                cursor, done = page.cursor, page.done
                pages[stream] += 1
                for event in connector.decode(page.body, page.topic) if page.body else ():
                    if event.snapshot is None:
                        facts["sale", event.entity_id] = "sales"  # to be completed by a host
                        continue
                    for found in connector.map(event, (), connection):
                        facts[found.fact] = NAMES.get(found.type, "profiles")
    world = build(7, TODAY)
    expected = world.expected["square"]
    counted = Counter(facts.values())
    assert {name: counted[name] for name in NAMES.values()} == {
        name: expected[name] for name in NAMES.values()
    }
    assert counted["profiles"] == len(world.diners)
    assert pages["payments"] > 1
