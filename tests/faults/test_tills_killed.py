"""The API is killed while tills redeem: asked again under their keys, all was done once.

HUB_TILLS_SEED has it killed after as many answers again; what was on its way then is the machine's.
"""

import asyncio
import os
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from hub.clock import now
from hub.crypto import tokens
from hub.ledger.codes import Kind
from hub.ledger.verify import verify
from tests.e2e.test_served import Served, running
from tests.integration.api_kit import SHOP, open_group, running_api
from tests.integration.test_graphql_tills import REDEEM

KILLS = int(os.environ.get("HUB_TILLS_KILLS", "1"))
TILLS, TURNS, PEOPLE = 8, 6 * KILLS, 5
HAD, PHONE = 2000, "+861391020304"
ASKED: list[list[dict[str, Any]]] = [
    [
        {
            "member": {"phone": f"{PHONE}{(till + turn) % PEOPLE}"},
            "points": 1 + turn % 3,
            "idempotencyKey": f"{till}-{turn}",
        }
        for turn in range(TURNS)
    ]
    for till in range(TILLS)
]
"""What each till redeems, one after the other."""


async def _redeem(served: Served, done: dict[str, Any], *, killed_after: int = 0) -> None:
    """Have all tills redeem, each one after the other, what is not done yet.

    The server is killed when so many are done, with the others on their way.
    """

    async def till(given: list[dict[str, Any]]) -> None:
        for one in given:
            if (key := one["idempotencyKey"]) not in done:
                asked = {"query": REDEEM, "variables": {"input": one}}
                answer = (await web.post("/graphql", json=asked)).json()
                done[key] = answer["data"]["redeem"]["transaction"]
                if len(done) == killed_after:
                    served.process.kill()

    token = tokens.issue(served.keyring, SHOP, now=now())
    headers = {"authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(base_url=served.url, headers=headers, timeout=60) as web,
        asyncio.TaskGroup() as tills,
    ):
        for given in ASKED:
            tills.create_task(till(given))


async def test_every_key_has_one_effect_however_often_the_server_is_killed(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    await open_group(database_url)
    done: dict[str, Any] = {}
    seed = int(os.environ.get("HUB_TILLS_SEED") or SystemRandom().randrange(10**6))
    print(f"HUB_TILLS_SEED={seed}")
    random = Random(seed)
    async with running_api(database_url, redis_url, tmp_path) as api:
        for n in range(PEOPLE):
            person = await api.join("shop", f"c-{n}", phone=f"{PHONE}{n}")
            await api.buy(person, "shop", HAD)
        for _ in range(KILLS):
            after = len(done) + random.randint(1, TILLS * TURNS // (KILLS + 1))
            with (
                running(database_url, redis_url, tmp_path) as served,
                pytest.raises(ExceptionGroup) as failed,
            ):
                await _redeem(served, done, killed_after=after)
            assert failed.value.split(httpx2.TransportError)[1] is None
        told = dict(done)
        done.clear()
        with running(database_url, redis_url, tmp_path) as served:
            await _redeem(served, done)
        assert 0 < len(told) < len(done) == TILLS * TURNS
        assert told.items() <= done.items()
        async with api.engine.connect() as db:
            posted = text("SELECT count(*), sum(points) FROM ledger_transaction WHERE kind = :kind")
            spent = sum(one["points"] for given in ASKED for one in given)
            assert (await db.execute(posted, {"kind": Kind.REDEEM})).one() == (len(done), spent)
            left = await db.scalar(text("SELECT sum(posted) FROM balance WHERE unit = 1"))
            assert left == PEOPLE * HAD - spent
            assert await verify(db) == []
