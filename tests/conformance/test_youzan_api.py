"""How Youzan's open API answers and is pulled: codes within answers, windows read from behind."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from connectors.conformance import NOW, SINCE, CannedUpstream
from connectors.retail.youzan import connector
from connectors.retail.youzan.config import YouzanConfig
from hub.connector import Connection, NotYet
from hub.errors import Malformed
from tests.conformance import test_youzan as story
from tests.conformance.test_youzan import CLOSED, TOKEN, TRADE, answer, trade
from tests.support.mutate import FUZZ, ask_calmly, mutants

SOLD = ("POST", f"/api/youzan.trades.sold.get/4.0.4{TOKEN}")


class TestAsking:
    """How the open API answers, and what is made of it."""

    connection = story.TestYouzan.connection
    event = connector.decode(story.TestYouzan.pushed[6].raw, None)[0]

    @pytest.mark.parametrize(
        "told",
        [
            {"gw_err_resp": {"err_code": 4101, "err_msg": "访问频繁"}},
            {"code": 500100004, "msg": "请求被限流"},
            {"code": 5000, "success": False, "message": "trade not found", "data": CLOSED},
            {"code": 106000001, "success": False, "message": "请求超时"},
        ],
    )
    async def test_some_answers_are_worth_another_try(self, told: dict[str, Any]) -> None:
        client = CannedUpstream({TRADE: json.dumps(told).encode()})
        with pytest.raises(NotYet) as caught:
            await connector.hydrate(client, self.event, self.connection)
        assert caught.value.retry_after_seconds == 30

    @pytest.mark.parametrize(
        "told",
        [
            {"gw_err_resp": {"err_code": 4201, "err_msg": "非法的请求凭证"}},
            {"code": 200, "success": False, "data": {}},
            {"code": 200, "success": True, "data": []},
            [],
        ],
    )
    async def test_others_are_not(self, told: object) -> None:
        client = CannedUpstream({TRADE: json.dumps(told).encode()})
        with pytest.raises(Malformed):
            await connector.hydrate(client, self.event, self.connection)

    @pytest.mark.parametrize("state", [1, 11])
    async def test_money_on_its_way_back_is_waited_for(self, state: int) -> None:
        client = CannedUpstream({TRADE: answer(trade(refund_state=state))})
        with pytest.raises(NotYet):
            await connector.hydrate(client, self.event, self.connection)

    async def test_a_detail_older_than_its_message_is_waited_for(self) -> None:
        client = CannedUpstream({TRADE: answer(trade(node_kdt_id=56232))})
        with pytest.raises(NotYet):
            await connector.hydrate(client, self.event, self.connection)

    async def test_a_refund_that_its_order_does_not_know_yet_is_waited_for(self) -> None:
        refunded = connector.decode(story.TestYouzan.pushed[4].raw, None)[0]
        assert refunded.version is None
        client = CannedUpstream({TRADE: answer(trade())})
        with pytest.raises(NotYet):
            await connector.hydrate(client, refunded, self.connection)

    @FUZZ
    @given(strange=mutants([json.loads(answer(CLOSED)), json.loads(answer(story.ONE))]))
    async def test_strange_answers_are_taken_calmly(self, strange: Any) -> None:
        told = json.dumps(strange).encode()
        one = {TRADE: told, story.REFUND: answer(story.ONE)}
        other = {TRADE: answer(CLOSED), story.REFUND: told, SOLD: told}
        for answers in (one, other):
            client = CannedUpstream(answers)
            await ask_calmly(connector.hydrate(client, self.event, self.connection))
        await ask_calmly(
            connector.pull(
                CannedUpstream(other), "orders", None, self.connection, since=SINCE, until=NOW
            )
        )

    async def test_no_error_tells_the_token(self) -> None:
        with pytest.raises(Malformed) as caught:
            await connector.hydrate(CannedUpstream({}), self.event, self.connection)
        assert "yz-token" not in caught.value.message + caught.value.field

    async def test_a_shops_own_token_is_asked_for(self) -> None:
        config = YouzanConfig(client_id="app-1", grant_id="56232")
        connection = Connection(
            connection_id="yz",
            config=config,
            secrets=("yz_new",),
            time_zone="Asia/Shanghai",
            currency="CNY",
        )
        client = story.TestYouzan().upstream()
        client.answers = {
            **client.answers,
            ("POST", "/auth/token"): answer({"access_token": "yz-token", "expires": 1}),
        }
        assert "Orchid & Pine" in await connector.check(client, connection)
        assert client.asked[0][3] == {
            "client_id": "app-1",
            "client_secret": "yz_new",
            "authorize_type": "silent",
            "grant_id": "56232",
            "refresh": False,
        }


class Shop:
    """A shop whose orders change while they are listed."""

    def __init__(self, changed: dict[str, datetime]) -> None:
        self.changed = changed
        self.asked: list[dict[str, Any]] = []

    def listed(self, asked: dict[str, Any]) -> bytes:
        self.asked.append(asked)
        start, end = (
            datetime.fromisoformat(f"{asked[name]}+08:00")
            for name in ("start_update", "end_update")
        )
        found = sorted((at, tid) for tid, at in self.changed.items() if start <= at <= end)
        first = (asked["page_no"] - 1) * asked["page_size"]
        rows = [
            {"full_order_info": {"order_info": {"tid": tid}}}
            for _, tid in found[first : first + asked["page_size"]]
        ]
        return answer({"full_order_info_list": rows, "total_results": len(found)})

    def client(self) -> CannedUpstream:
        return CannedUpstream({SOLD: self.listed})


class TestPulling:
    """What the kit's one page does not show."""

    connection = story.TestYouzan.connection

    async def pull(self, shop: Shop, cursor: str | None, until: datetime = NOW) -> Any:
        return await connector.pull(
            shop.client(), "orders", cursor, self.connection, since=SINCE, until=until
        )

    async def all(self, shop: Shop, meanwhile: Any = None) -> tuple[list[str], str]:
        found: list[str] = []
        cursor, done = None, False
        while not done:
            page = await self.pull(shop, cursor)
            cursor, done = page.cursor, page.done
            if page.body is not None:
                found += [event.entity_id for event in connector.decode(page.body, page.topic)]
            if meanwhile is not None:
                meanwhile()
        assert cursor is not None
        return found, cursor

    async def test_windows_follow_one_another_to_the_end(self) -> None:
        shop = Shop({f"E{day}": SINCE + timedelta(days=day) for day in range(89)})
        found, cursor = await self.all(shop)
        assert set(found) == set(shop.changed)
        windows = [(asked["start_update"], asked["end_update"]) for asked in shop.asked]
        assert windows[0] == ("2026-01-01 08:00:00", "2026-01-31 08:00:00")
        assert windows[-1][1] == "2026-03-31 20:00:00"
        later = await self.pull(shop, cursor, NOW + timedelta(hours=1))
        assert later.done
        assert shop.asked[-1]["start_update"] == "2026-03-31 20:00:00"
        assert shop.asked[-1]["end_update"] == "2026-03-31 21:00:00"

    async def test_what_changes_while_it_is_listed_hides_nothing(self) -> None:
        first = SINCE + timedelta(days=1)
        shop = Shop({f"E{i:04}": first + timedelta(seconds=i) for i in range(450)})
        leaving = iter(range(0, 450, 7))

        def change() -> None:
            for _ in range(20):
                if (gone := next(leaving, None)) is not None:
                    shop.changed[f"E{gone:04}"] = NOW - timedelta(hours=1)

        found, _ = await self.all(shop, change)
        assert set(found) == set(shop.changed)

    async def test_a_window_of_too_many_is_halved(self) -> None:
        spread = timedelta(days=29) / 10_050
        shop = Shop({f"E{i}": SINCE + spread * i for i in range(10_050)})
        page = await self.pull(shop, None)
        assert (page.body, page.done) == (None, False)
        nearer = await self.pull(shop, page.cursor)
        assert shop.asked[1]["end_update"] == "2026-01-16 08:00:00"
        assert nearer.body is not None

    async def test_nothing_new_is_no_page(self) -> None:
        page = await self.pull(Shop({}), None, SINCE + timedelta(hours=1))
        assert (page.body, page.done) == (None, True)

    async def test_refunds_and_customers_are_asked_for_in_their_own_time(self) -> None:
        client = story.TestYouzan().upstream()
        until = datetime(2026, 1, 1, 1, tzinfo=UTC)
        for stream in ("refunds", "customers"):
            page = await connector.pull(
                client, stream, None, self.connection, since=SINCE, until=until
            )
            assert page.done
        refunds, customers = (asked[3] for asked in client.asked)
        assert refunds == {
            "update_time_start": 1767225600,
            "update_time_end": 1767229200,
            "page_no": 1,
            "page_size": 100,
        }
        assert customers["created_at_end"] == 1767229200000

    @pytest.mark.parametrize("cursor", ["soon", "{}", '{"start": 1, "end": 2, "page": 1}'])
    async def test_another_cursor_is_refused(self, cursor: str) -> None:
        with pytest.raises(Malformed) as caught:
            await self.pull(Shop({}), cursor)
        assert caught.value.field == "cursor"

    @pytest.mark.parametrize(
        "data", [{"full_order_info_list": {}, "total_results": 1}, {"full_order_info_list": []}]
    )
    async def test_what_is_no_page_is_malformed(self, data: dict[str, Any]) -> None:
        with pytest.raises(Malformed):
            await connector.pull(
                CannedUpstream({SOLD: answer(data)}),
                "orders",
                None,
                self.connection,
                since=SINCE,
                until=NOW,
            )
