"""The second world: as large as asked, its pages read by the real dialects while they shift."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx2
import pytest

from connectors.dining.toast import connector as toast
from connectors.hotel.apaleo import connector as apaleo
from connectors.hotel.ohip import connector as ohip
from connectors.retail.woocommerce import connector as woocommerce
from connectors.retail.youzan import connector as youzan
from connectors.sandbox.app import create_app
from connectors.sandbox.second.accounts import connections
from connectors.sandbox.second.world import Second
from hub.clock import now
from hub.connector import Answered, Connection, NotYet, Refused, parse_json, read_as
from hub.errors import Malformed

TODAY = date(2026, 3, 15)
BASE = "http://sandbox"
SIZE = 230
PULLED: dict[str, Any] = {
    "woocommerce": woocommerce,
    "youzan": youzan,
    "toast": toast,
    "apaleo": apaleo,
    "ohip": ohip,
}
SINCE = datetime(2026, 2, 20, tzinfo=UTC)
UNTIL = datetime(2026, 3, 16, tzinfo=UTC)


class InProcess:
    """The sandbox's APIs without a network between; `asked` counts the calls."""

    def __init__(self) -> None:
        transport = httpx2.ASGITransport(app=create_app(7, TODAY, size=SIZE))
        self.http = httpx2.AsyncClient(transport=transport, base_url=BASE)

    async def request(self, method: str, path: str, **more: Any) -> Any:
        return parse_json((await self.fetch(method, path, **more)).body)

    async def fetch(self, method: str, path: str, form: Any = None, **more: Any) -> Answered:
        answer = await self.http.request(method, path, data=form, **more)
        if answer.status_code == 429 or answer.is_server_error:
            raise NotYet(f"{path} answered {answer.status_code}")
        if answer.is_error:
            raise Malformed(f"{path} answered {answer.status_code}", field=path, status=401)
        return Answered(body=answer.content, headers=dict(answer.headers))

    async def trouble(self, **trouble: int) -> None:
        answer = await self.http.post("/trouble", json=trouble)
        assert answer.is_success


@pytest.fixture
async def upstream() -> AsyncIterator[InProcess]:
    found = InProcess()
    yield found
    await found.http.aclose()


def wired(system: str) -> Connection:
    given = connections(BASE)[system]
    return Connection(
        connection_id=system,
        config=read_as(PULLED[system].spec.config, given["config"]),
        secrets=given["secrets"],
        time_zone="Asia/Shanghai",
        currency="CNY",
    )


async def pull(
    system: str,
    stream: str,
    upstream: InProcess,
    cursor: str | None = None,
    until: datetime = UNTIL,
) -> tuple[int, set[str], str | None]:
    """Pull a stream to its end: the pages, the ids of the entities in them, where it goes on."""
    dialect, connection = PULLED[system], wired(system)
    pages, found = 0, set[str]()
    while True:
        page = await dialect.pull(upstream, stream, cursor, connection, since=SINCE, until=until)
        if page.body is not None:
            pages += 1
            with suppress(Refused):
                found |= {event.entity_id for event in dialect.decode(page.body, page.topic)}
        cursor = page.cursor
        if page.done:
            return pages, found, cursor


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("system", PULLED)
async def test_pages_that_shift_while_they_are_read_hide_nothing(
    system: str, shift: int, upstream: InProcess
) -> None:
    teller = Second(7, TODAY, SIZE).tellers[system]
    expected = {
        "woocommerce": len(teller.plot.sales),
        "youzan": len(teller.plot.sales),
        "toast": len(teller.plot.sales) + len(teller.plot.dinners),
        "apaleo": len(teller.plot.visits),
        "ohip": len(teller.plot.visits),
    }
    await upstream.trouble(shift_next=shift)
    stream = "reservations" if system in ("apaleo", "ohip") else PULLED[system].streams[0]
    pages, found, cursor = await pull(system, stream, upstream)
    assert pages > 1
    # What changed meanwhile is the next pull's.
    _, later, _ = await pull(system, stream, upstream, cursor, until=now() + timedelta(hours=7))
    assert len(found | later) == expected[system]


async def test_the_queue_forgets_what_it_gives(upstream: InProcess) -> None:
    events = 3 * SIZE
    pages, found, _ = await pull("ohip", "events", upstream)
    assert pages == -(-events // 20)
    assert len(found) > SIZE
    assert await pull("ohip", "events", upstream) == (0, set(), None)


async def test_trouble_comes_in_its_order_and_ends(upstream: InProcess) -> None:
    await upstream.trouble(reject_next=1, fail_next=1, stall_next=1, stall_seconds=0)
    statuses = [(await upstream.http.get("/wp-json/")).status_code for _ in range(4)]
    assert statuses == [429, 500, 200, 200]


@pytest.mark.parametrize("system", PULLED)
async def test_credentials_are_checked(system: str, upstream: InProcess) -> None:
    said = await PULLED[system].check(upstream, wired(system))
    assert "open" in said or "read" in said
    config = wired(system).config
    wrong = {
        "woocommerce": "consumer_secret",
        "youzan": "access_token",
        "toast": "client_secret",
        "apaleo": "client_secret",
        "ohip": "app_key",
    }
    changed = read_as(
        type(config), {**connections(BASE)[system]["config"], wrong[system]: "forged"}
    )
    forged = Connection(
        connection_id=system,
        config=changed,
        secrets=("x",),
        time_zone="Asia/Shanghai",
        currency="CNY",
    )
    # Each check needs a session of its own: one dialect keeps its login as long as its client.
    other = InProcess()
    with pytest.raises(Malformed):
        await PULLED[system].check(other, forged)
    await other.http.aclose()


def test_a_seed_determines_the_world_and_another_has_other_numbers() -> None:
    one, same, other = (Second(seed, TODAY) for seed in (7, 7, 8))
    assert [d.body for d in one.deliveries] == [d.body for d in same.deliveries]
    assert not {d.body for d in one.deliveries} & {d.body for d in other.deliveries}
    story = timedelta(days=30)
    assert all(TODAY - d.sent_at.date() < story for d in one.deliveries)
    summary = one.summary()
    assert set(summary["deliveries"]) == set(one.tellers)
