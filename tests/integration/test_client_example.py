"""The typed clients of docs/examples: generated as they would be, and driven against a real hub."""

import runpy
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hub.callers.create_client import create_client
from hub.callers.disable_client import disable_client
from hub.clock import now
from hub.crypto.scopes import Role
from hub.entrypoints import web_callers
from tests.integration.api_kit import Api
from tests.support.tidy import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "hub-client"
PHONE = "+8613910203040"


class Flaky(httpx2.AsyncBaseTransport):
    """Loses every second answer, and says that it is busy now and then."""

    def __init__(self, app: Any) -> None:
        self._real = httpx2.ASGITransport(app)
        self.sent = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent += 1
        if self.sent % 5 == 0:
            return httpx2.Response(503, headers={"retry-after": "0"}, request=request)
        answer = await self._real.handle_async_request(request)
        if self.sent % 2 == 0:
            raise httpx2.ReadError("lost", request=request)
        return answer


@pytest.fixture
async def hub(api: Api, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.syspath_prepend(str(EXAMPLE / "python"))
    from hub_client import client

    async def at_once(_: float) -> None:
        """Wait for nothing."""

    monkeypatch.setattr(client.asyncio, "sleep", at_once)
    async with api.engine.begin() as db:
        made = await create_client(
            db, client_id="shop-till", name="Till", role=Role.BUSINESS, business="shop",
            scopes=["members:read", "points:redeem"], actor="cy", now=now(),
        )  # fmt: skip
    http = httpx2.AsyncClient(transport=Flaky(api.app), base_url="http://hub.test")
    async with client.HubClient("", "shop-till", made.secret, http=http) as running:
        yield running
    for name in [name for name in sys.modules if name.startswith("hub_client")]:
        del sys.modules[name]


def test_the_types_are_those_of_the_schema() -> None:
    made: dict[Path, str] = runpy.run_path(str(EXAMPLE / "generate.py"))["generate"]()
    stale = [str(place) for place, text in made.items() if place.read_text() != text]
    assert stale == [], f"run python {EXAMPLE.relative_to(ROOT) / 'generate.py'}"


async def test_a_till_redeems_once_over_a_bad_line(api: Api, hub: Any) -> None:
    from hub_client import till

    li = await api.join("shop", "c-1", phone=PHONE, name="Li")
    for _ in range(3):
        await api.buy(li, "shop", 100)
    found = await till.find(hub, PHONE)
    assert found["number"] == str(li.member_id)
    assert found["balance"]["available"] == 300
    assert await till.find(hub, "+8613910203041") is None
    for _ in range(3):
        said = await till.redeem(hub, found["id"], 120, bill="1")
        assert said == "120 points taken, 180 left"
    assert await till.redeem(hub, found["id"], 500, bill="2") == "only 180 points can be spent"
    with pytest.raises(ValueError, match="points"):
        await till.redeem(hub, found["id"], 121, bill="1")
    moved = [entry async for entry in till.entries(hub, found["id"], at_once=2)]
    kinds = [entry["kind"] for entry in moved]
    assert kinds[:2] == ["REDEEM", "REDEEM"]
    assert set(kinds[2:]) == {"EARN"}
    assert len({entry["id"] for entry in moved}) == len(moved)
    assert sum(abs(one["points"]) for one in moved if one["kind"] == "REDEEM") == 120


async def test_an_ended_client_is_told_so(
    api: Api, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hub_client import client, till

    await till.find(hub, PHONE)
    monkeypatch.setattr(web_callers, "FRESH_SECONDS", 0.0)
    async with api.engine.begin() as db:
        await disable_client(db, client_id="shop-till", actor="cy", now=now())
    with pytest.raises(client.HubError) as caught:
        await till.find(hub, PHONE)
    assert caught.value.code == "invalid_client"
