"""How Shopify is pulled: by the window in which orders changed, and pages that links name."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from connectors.conformance import NOW, SINCE, CannedUpstream
from connectors.retail.shopify import connector
from hub.connector import Answered
from hub.errors import Malformed
from tests.conformance import test_shopify as story
from tests.support.mutate import FUZZ, ask_calmly, mutants

PATH = "/admin/api/2025-10/orders.json"
WINDOW = f"{PATH}?status=any&limit=250&updated_at_min={{}}&updated_at_max={{}}"
FIRST = WINDOW.format("2026-01-01T00%3A00%3A00%2B00%3A00", "2026-03-31T12%3A00%3A00%2B00%3A00")


def listed(*orders: dict[str, Any], following: str | None = None, shop: str = "shop") -> Answered:
    """A page of orders, and the link to the next one beside that to the one before."""
    links = f'<https://{shop}.example{PATH}?limit=250&page_info=before>; rel="previous"'
    if following is not None:
        links += f', <https://{shop}.example{PATH}?limit=250&page_info={following}>; rel="next"'
    return Answered(body=json.dumps({"orders": orders}).encode(), headers={"link": links})


async def pull(client: CannedUpstream, cursor: str | None = None, until: Any = NOW) -> Any:
    connection = story.TestShopify.connection
    return await connector.pull(client, "orders", cursor, connection, since=SINCE, until=until)


async def test_links_lead_through_a_window() -> None:
    client = CannedUpstream(
        {
            ("GET", FIRST): listed(story.order(), following="abc%2Bd"),
            ("GET", f"{PATH}?limit=250&page_info=abc%2Bd"): listed(story.LATER),
        }
    )
    first = await pull(client)
    assert not first.done
    assert client.asked[0][2] == {"X-Shopify-Access-Token": "shpat_example"}
    # The next page stays the window's, however late it is asked for.
    last = await pull(client, first.cursor, NOW + timedelta(hours=3))
    assert (last.done, last.topic) == (True, "orders")
    assert [one.entity_id for one in connector.decode(last.body, last.topic)] == ["7001"]


async def test_the_next_pull_begins_where_this_one_ended() -> None:
    client = CannedUpstream({("GET", FIRST): listed()})
    page = await pull(client)
    assert (page.body, page.done) == (None, True)
    later = WINDOW.format("2026-03-31T12%3A00%3A00%2B00%3A00", "2026-04-01T12%3A00%3A00%2B00%3A00")
    client.answers = {("GET", later): listed(story.order())}
    assert (await pull(client, page.cursor, NOW + timedelta(days=1))).body is not None


async def test_a_link_to_elsewhere_is_not_followed() -> None:
    client = CannedUpstream(
        {
            ("GET", FIRST): listed(story.order(), following="x", shop="attacker"),
            ("GET", f"{PATH}?limit=250&page_info=x"): listed(),
        }
    )
    assert (await pull(client, (await pull(client)).cursor)).done


async def test_a_page_that_shopify_forgot_begins_its_window_again_once() -> None:
    client = CannedUpstream({("GET", FIRST): listed(story.order(), following="gone")})
    first = await pull(client)
    again = await pull(client, first.cursor)
    assert (again.body, again.done) == (None, False)
    anew = await pull(client, again.cursor, NOW + timedelta(hours=3))
    assert anew.body == first.body
    with pytest.raises(Malformed):
        await pull(client, anew.cursor)


async def test_a_first_page_that_is_refused_is_not_tried_anew() -> None:
    with pytest.raises(Malformed):
        await pull(CannedUpstream({}))


@pytest.mark.parametrize(
    "answer",
    [
        b"[]",
        b"{}",
        b'{"orders": {}}',
        Answered(body=b'{"orders": []}', headers={"link": '<https://x/?a=1>; rel="next"'}),
    ],
)
async def test_what_is_no_page_is_malformed(answer: Any) -> None:
    with pytest.raises(Malformed):
        await pull(CannedUpstream({("GET", FIRST): answer}))


@pytest.mark.parametrize(
    "cursor",
    [
        "soon",
        "{}",
        '{"start": "2026-01-01", "end": "2026-01-02", "page_info": null, "again": false}',
    ],
)
async def test_another_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Malformed) as caught:
        await pull(CannedUpstream({}), cursor)
    assert caught.value.field == "cursor"


@FUZZ
@given(strange=mutants([{"orders": [story.order()], "links": ["<https://x/?page_info=y>"]}]))
async def test_strange_answers_are_taken_calmly(strange: Any) -> None:
    links = {"link": f'{strange.get("links")}; rel="next"'}
    answer = Answered(body=json.dumps(strange).encode(), headers=links)
    await ask_calmly(pull(CannedUpstream({("GET", FIRST): answer})))
