"""Webhooks over GraphQL: a business sees what it was told, and has it told again."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from graphql_schema import redelivering
from hub.clock import now
from hub.crypto.tokens import Principal
from hub.egress.replay import SEND
from hub.egress.replay import replay as tell_again
from hub.intake.queries import DeliveryFilter, DeliveryState
from hub.intake.replay import replay
from tests.integration.api_kit import ADMIN, HOTEL, SHOP, STAFF, Api
from tests.support.command import hub
from tests.support.many import fill
from tests.support.waiting import until

SUBSCRIPTIONS = "{ webhookSubscriptions { code business { code } active pending dead } }"
DELIVERIES = """query ($filter: WebhookDeliveryFilter) {
  webhookDeliveries(filter: $filter, first: 100) { nodes { number business { code } state } } }"""
AGAIN = """mutation ($input: RedeliverWebhooksInput!) { redeliverWebhooks(input: $input) {
  __typename ... on WebhooksRedelivered { count } ... on InvalidInput { field }
  ... on WebhookSubscriptionStopped { message } } }"""
NOT_THERE = {"__typename": "InvalidInput"}


@pytest.fixture
async def told(api: Api) -> Api:
    """Sixty deliveries; of the hotel's twenty, one was given up; of the diner's, one waits."""
    async with api.engine.begin() as db:
        await fill(db, 60, of="work")
    return api


async def log(api: Api, who: Principal, **filter_: object) -> list[dict[str, Any]]:
    found = await api.data(DELIVERIES, who, filter=filter_)
    nodes: list[dict[str, Any]] = found["webhookDeliveries"]["nodes"]
    return nodes


async def again(api: Api, who: Principal, **asked: object) -> dict[str, Any]:
    answer: dict[str, Any] = (await api.data(AGAIN, who, input=asked))["redeliverWebhooks"]
    return answer


async def test_a_business_sees_what_it_was_told(told: Api) -> None:
    for who in (STAFF, ADMIN):
        assert len(await log(told, who)) == 60
        assert len((await told.data(SUBSCRIPTIONS, who))["webhookSubscriptions"]) == 3
    assert (await told.data(SUBSCRIPTIONS, HOTEL))["webhookSubscriptions"] == [
        {"code": "events-2", "business": {"code": "hotel"}, "active": True, "pending": 0, "dead": 1}
    ]
    assert {row["business"]["code"] for row in await log(told, HOTEL)} == {"hotel"}
    assert len(await log(told, HOTEL, states=["DEAD"])) == 1
    for nothing in ({"event": "evt_3"}, {"states": []}):
        assert await log(told, HOTEL, **nothing) == []
    for code in ("events-1", "nothing"):  # the shop's is none
        assert await told.code(DELIVERIES, HOTEL, filter={"subscription": code}) == "not_found"


async def test_what_was_given_up_is_told_again_once(
    told: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    [dead] = await log(told, HOTEL, states=["DEAD"])
    for found in (1, 0):  # what is under way is left to it
        answer = await again(told, HOTEL, subscription="events-2")
        assert answer == {"__typename": "WebhooksRedelivered", "count": found}
    delivered = (await log(told, STAFF, business="shop"))[0]["number"]
    named = [delivered, dead["number"]]
    assert (await again(told, STAFF, deliveries=named))["count"] == 1
    assert [row["state"] for row in await log(told, STAFF, states=["PENDING"])] == ["PENDING"] * 3
    async with told.engine.connect() as db:
        sent = text("SELECT reference FROM outbox_message WHERE actor = :send ORDER BY 1")
        found = [str(one) for one in await db.scalars(sent, {"send": SEND})]
    assert sorted(found) == sorted(named)
    everything = {"subscription": "events-2", "includeDelivered": True}
    late = await again(told, HOTEL, **everything, since="2099-01-01T00:00:00Z")
    assert late["count"] == 0
    monkeypatch.setattr(redelivering, "MOST_AT_ONCE", 10)
    for found in (10, 9, 0):
        assert (await again(told, HOTEL, **everything))["count"] == found


async def test_what_is_not_there_or_amiss_is_said(told: Api) -> None:
    [dead] = await log(told, HOTEL, states=["DEAD"])
    own = (await log(told, SHOP))[0]["number"]
    for asked, field in (
        ({"deliveries": [dead["number"]]}, "deliveries"),  # the hotel's
        ({"deliveries": ["999999"]}, "deliveries"),
        ({"deliveries": ["1"] * 1001}, "deliveries"),
        ({"subscription": "events-2"}, "subscription"),
        ({}, "deliveries"),
        ({"deliveries": [own], "includeDelivered": True}, "includeDelivered"),
        ({"subscription": "\0"}, "subscription"),
        ({"subscription": "events-1", "since": "2026-01-01T00:00:00"}, "since"),
    ):
        assert await again(told, SHOP, **asked) == {**NOT_THERE, "field": field}, asked
    assert len(await log(told, STAFF, states=["DEAD"])) == 1


async def stop(told: Api) -> None:
    """Stop the hotel's subscription."""
    async with told.engine.begin() as db:
        await db.execute(
            text("""UPDATE subscription SET active = false, stopped_because = 'gone'
              WHERE code = 'events-2'""")
        )


async def test_what_is_of_a_stopped_subscription_is_told_so(told: Api) -> None:
    """However it is named, and nothing else that is named beside it is told again."""
    [dead] = await log(told, HOTEL, states=["DEAD"])
    other = (await log(told, SHOP))[0]["number"]
    await stop(told)
    for asked in ({"subscription": "events-2"}, {"deliveries": [other, dead["number"]]}):
        assert await again(told, STAFF, **asked) == {
            "__typename": "WebhookSubscriptionStopped",
            "message": "events-2 was stopped: gone",
        }
    assert len(await log(told, STAFF, states=["PENDING"])) == 1
    assert (await again(told, STAFF, deliveries=[other]))["count"] == 1


async def test_the_command_tells_the_same_and_how_many_it_passes_over(
    told: Api, database_url: str
) -> None:
    [dead] = await log(told, HOTEL, states=["DEAD"])
    other = (await log(told, SHOP))[0]["number"]
    await stop(told)

    async def said(*words: str) -> tuple[int, list[str]]:
        done = await hub("egress", "replay", *words, DATABASE_URL=database_url)
        assert (done.returncode, done.stderr) == (0, "")
        again, *stopped = done.stdout.splitlines()
        return int(again.removeprefix("events that will be told again: ")), stopped

    stopped = "events-2 was stopped: gone; passed over: "
    assert await said(other, dead["number"]) == (1, [f"{stopped}1"])
    assert await said("--subscription", "events-2") == (0, [f"{stopped}1"])
    assert await said("--subscription", "events-2", "--everything") == (0, [f"{stopped}20"])
    late = ("--subscription", "events-2", "--since", "2099-01-01")
    assert await said(*late) == (0, [f"{stopped}0"])
    assert await said("--subscription", "events-1") == (0, [])
    assert len(await log(told, HOTEL, states=["DEAD"])) == 1


async def test_dead_letters_are_worked_on_again_by_whose_they_are(told: Api) -> None:
    listed = "query { deliveries(filter: { states: [DEAD] }) { nodes { number connection } } }"
    asking = """mutation ($input: ReplayDeliveriesInput!) { replayDeliveries(input: $input) {
      __typename ... on DeliveriesReplayed { count } ... on InvalidInput { field } } }"""

    async def work(who: Principal, **asked: object) -> Any:
        return (await told.data(asking, who, input=asked))["replayDeliveries"]

    [dead] = (await told.data(listed, HOTEL))["deliveries"]["nodes"]
    assert (await told.data(listed, SHOP))["deliveries"]["nodes"] == []
    for asked, field in (
        ({"deliveries": [dead["number"]]}, "deliveries"),
        ({"connection": dead["connection"]}, "connection"),
        ({"deliveries": ["1"] * 1001}, "deliveries"),
        ({}, "deliveries"),
    ):
        assert await work(SHOP, **asked) == {**NOT_THERE, "field": field}, asked
    for found in (1, 0):
        assert (await work(HOTEL, connection=dead["connection"]))["count"] == found
    assert (await work(ADMIN, deliveries=[dead["number"]]))["count"] == 0  # it waits already


async def test_a_replay_is_of_one_business_if_that_is_said(told: Api) -> None:
    """Whoever checked whose a delivery is did so before the write: this looks again."""
    letters = DeliveryFilter(states=(DeliveryState.DEAD,))
    async with told.engine.begin() as db:
        [(dead, whose)] = await db.execute(
            text("""SELECT d.delivery_id, c.business_id FROM delivery d
              JOIN connection c USING (connection_id) WHERE d.state = 'dead'""")
        )
        for business_id, found in ((whose % 3 + 1, 0), (whose, 1)):
            asked = {"business_id": business_id, "now": now()}
            for meant in ({"delivery_ids": [dead]}, {"search": letters}):
                async with db.begin_nested() as tried:
                    assert await replay(db, **asked, **meant) == found
                    await tried.rollback()


async def test_who_asks_beside_another_has_others_worked_on(told: Api) -> None:
    """Not those that the other chose, and none fewer."""
    asked: dict[str, Any] = {"subscription": "events-2", "dead_only": False, "most": 8}

    async def beside() -> int:
        async with told.engine.begin() as db:
            return await tell_again(db, now=now(), **asked)

    async with told.engine.begin() as first:
        assert await tell_again(first, now=now(), **asked) == 8
        second = asyncio.create_task(beside())
        await until(told.engine, waiting=1)
        await first.commit()
        assert await second == 8
