"""How WooCommerce is pulled: by the second in which orders changed, and customers by their id."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from connectors.conformance import NOW, SINCE, CannedUpstream
from connectors.retail.woocommerce import connector
from hub.errors import Malformed
from tests.conformance import test_woocommerce as story
from tests.conformance.test_woocommerce import API, CUSTOMER, GOODWILL, LATER, body, refund
from tests.support.mutate import FUZZ, ask_calmly, mutants


class TestPulling:
    """What the kit's one page does not show."""

    connection = story.TestWooCommerce.connection

    def changed(self, count: int, gmt: str, first: int = 1) -> list[dict[str, Any]]:
        return [
            {"id": first + i, "date_modified_gmt": gmt, "status": "pending"} for i in range(count)
        ]

    def answering(self, pages: dict[tuple[str, int], list[dict[str, Any]]]) -> CannedUpstream:
        window = (
            "status=any&dates_are_gmt=true&modified_after={}"
            "&modified_before=2026-03-31T12%3A00%3A01&orderby=modified&order=asc&per_page=100&page={}"
        )
        return CannedUpstream(
            {
                (
                    "GET",
                    f"{API}/orders?{window.format(after.replace(':', '%3A'), page)}",
                ): json.dumps(found).encode()
                for (after, page), found in pages.items()
            }
        )

    async def orders(self, client: CannedUpstream, cursor: str | None) -> Any:
        return await connector.pull(
            client, "orders", cursor, self.connection, since=SINCE, until=NOW
        )

    async def test_a_full_page_goes_on_a_second_before_its_last_change(self) -> None:
        client = self.answering(
            {
                ("2025-12-31T23:59:59", 1): self.changed(100, "2026-03-05T12:00:10"),
                ("2026-03-05T12:00:09", 1): self.changed(1, "2026-03-05T12:00:10", 100),
            }
        )
        first = await self.orders(client, None)
        assert not first.done
        last = await self.orders(client, first.cursor)
        assert last.done
        assert json.loads(last.cursor) == {"after": "2026-03-05T12:00:09", "page": 1}

    async def test_a_second_in_which_more_changed_than_fits_a_page(self) -> None:
        client = self.answering(
            {
                ("2026-03-05T12:00:09", 1): self.changed(100, "2026-03-05T12:00:10"),
                ("2026-03-05T12:00:09", 2): self.changed(20, "2026-03-05T12:00:10", 101),
            }
        )
        first = await self.orders(client, '{"after": "2026-03-05T12:00:09", "page": 1}')
        assert json.loads(first.cursor) == {"after": "2026-03-05T12:00:09", "page": 2}
        assert (await self.orders(client, first.cursor)).done

    async def test_nothing_new_is_no_page(self) -> None:
        client = self.answering({("2025-12-31T23:59:59", 1): []})
        page = await self.orders(client, None)
        assert (page.body, page.done) == (None, True)
        assert json.loads(page.cursor) == {"after": "2025-12-31T23:59:59", "page": 1}

    async def test_customers_go_on_where_new_ones_are_added(self) -> None:
        path = f"{API}/customers?orderby=id&order=asc&per_page=100&page="
        client = CannedUpstream(
            {
                ("GET", f"{path}1"): json.dumps([CUSTOMER] * 100).encode(),
                ("GET", f"{path}2"): json.dumps([CUSTOMER]).encode(),
            }
        )
        cursor = None
        # Changed ones are found by a round through all of them, once a week.
        for days, number in ((0, 2), (0, 2), (6, 2), (7, 2), (7, 2)):
            page = await connector.pull(
                client,
                "customers",
                cursor,
                self.connection,
                since=SINCE,
                until=NOW + timedelta(days=days),
            )
            cursor = page.cursor
            assert json.loads(cursor)["page"] == number
        assert page.done
        read = [path.rpartition("=")[2] for _, path, *_ in client.asked]
        assert read == ["1", "2", "2", "1", "2"]

    async def test_a_cursor_from_before_rounds_begins_one(self) -> None:
        path = f"{API}/customers?orderby=id&order=asc&per_page=100&page=1"
        client = CannedUpstream({("GET", path): json.dumps([CUSTOMER]).encode()})
        page = await connector.pull(
            client, "customers", "7", self.connection, since=SINCE, until=NOW
        )
        assert (page.done, json.loads(page.cursor)["page"]) == (True, 1)

    @pytest.mark.parametrize("cursor", ["soon", "{}", '{"after": 1, "page": 1}'])
    async def test_another_cursor_is_refused(self, cursor: str) -> None:
        for stream in connector.streams:
            with pytest.raises(Malformed) as caught:
                await connector.pull(
                    CannedUpstream({}), stream, cursor, self.connection, since=SINCE, until=NOW
                )
            assert caught.value.field == "cursor"

    async def test_what_is_no_page_is_malformed(self) -> None:
        ancient = json.dumps(self.changed(1, "0001-01-01T00:00:00")).encode()
        for answer in (b'{"code": "rest_forbidden"}', b"[1]", b'[{"id": 1}]', ancient):
            path = next(iter(self.answering({("2025-12-31T23:59:59", 1): []}).answers))
            with pytest.raises(Malformed):
                await self.orders(CannedUpstream({path: answer}), None)

    @FUZZ
    @given(strange=mutants([[LATER, story.TAKEN_BACK], [GOODWILL, story.ONE_SHIRT], LATER]))
    async def test_strange_answers_are_taken_calmly(self, strange: Any) -> None:
        told = json.dumps(strange).encode()
        (event,) = connector.decode(body(LATER, "order.updated").raw, "order.updated")
        path = f"{API}/orders/727/refunds?per_page=100&page=1"
        answers = {("GET", f"{API}/orders/727"): body(LATER).raw, ("GET", path): told}
        await ask_calmly(connector.hydrate(CannedUpstream(answers), event, self.connection))
        for path in self.answering({("2025-12-31T23:59:59", 1): []}).answers:
            await ask_calmly(self.orders(CannedUpstream({path: told}), None))

    async def test_all_refunds_of_an_order_are_fetched(self) -> None:
        path = f"{API}/orders/727/refunds?per_page=100&page="
        many = [refund(n, "0.01") for n in range(900, 1000)]
        client = CannedUpstream(
            {
                ("GET", f"{API}/orders/727"): body(LATER).raw,
                ("GET", f"{path}1"): body(many).raw,
                ("GET", f"{path}2"): body([GOODWILL]).raw,
            }
        )
        (event,) = connector.decode(body(LATER, "order.updated").raw, "order.updated")
        assert event.snapshot is None
        snapshot = await connector.hydrate(client, event, self.connection)
        assert len(snapshot["refund_details"]) == 101
        assert client.asked[0][2] == {"Authorization": "Basic Y2tfZXhhbXBsZTpjc19leGFtcGxl"}
