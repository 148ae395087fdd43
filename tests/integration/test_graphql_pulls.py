"""What systems are asked for, through the API: seen by staff and admins, and asked for the past."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from hub.intake.connections import ConnectionConfig, connect
from hub.intake.streams import PULL_STREAM
from tests.integration.api_kit import ADMIN, STAFF, Api

BACKFILL = """mutation ($input: BackfillConnectionInput!) { backfillConnection(input: $input) {
  __typename ... on InvalidInput { field message }
  ... on BackfillBegun { streams { connection stream backfilling since failing } } } }"""
STREAMS = """query ($only: PullStreamFilter, $after: String) {
  pullStreams(filter: $only, first: 2, after: $after) {
    nodes { connection stream connector business { code } failing pages }
    pageInfo { endCursor hasNextPage } } }"""
SINCE = "2026-01-01T08:00:00+08:00"


async def test_the_past_is_asked_for_and_streams_say_how_far_it_is(api: Api) -> None:
    async with api.engine.begin() as db:
        at = {"base_url": "http://127.0.0.1:9"}
        for code, config in (("web", at), ("mute", {}), ("torn", at)):
            asked = ConnectionConfig(
                code=code, business="shop", connector="woocommerce", secrets=["s3cr3t"],
                config=config,
            )  # fmt: skip
            await connect(db, config=asked, keyring=api.keyring)
        await db.execute(text("UPDATE connection SET connector = 'gone' WHERE code = 'torn'"))

    async def backfill(**given: Any) -> dict[str, Any]:
        asked = {"connection": "web", "since": SINCE, **given}
        answer: dict[str, Any] = (await api.data(BACKFILL, ADMIN, input=asked))[
            "backfillConnection"
        ]
        return answer

    for wrong, field in (
        ({"connection": "none"}, "connection"),
        ({"connection": "mute"}, "connection"),  # nobody knows where it is
        ({"connection": "torn"}, "connection"),  # nobody speaks its language any more
        ({"connection": "\0"}, "connection"),
        ({"since": "2999-01-01T00:00:00Z"}, "since"),
    ):
        no = await backfill(**wrong)
        assert (no["__typename"], no["field"]) == ("InvalidInput", field)
    begun = await backfill()
    facts = {"connection": "web", "backfilling": True, "failing": False}
    since = datetime(2026, 1, 1, tzinfo=UTC)
    for one, name in zip(begun["streams"], ("customers", "orders"), strict=True):
        assert datetime.fromisoformat(one.pop("since")) == since
        assert one == facts | {"stream": name}
    async with api.engine.begin() as db:
        message = text("SELECT count(DISTINCT reference) FROM outbox_message WHERE actor = :actor")
        assert await db.scalar(message, {"actor": PULL_STREAM}) == 2
        await db.execute(
            text("UPDATE pull_stream SET last_error = 'answered 503' WHERE stream = 'orders'")
        )
        await db.execute(
            text("""
              INSERT INTO pull_stream (connection_id, stream, since, next_at)
              SELECT connection_id, 'orders', now(), now() FROM connection WHERE code = 'mute'""")
        )
    shown = {"connector": "woocommerce", "business": {"code": "shop"}, "pages": 0}
    page = (await api.data(STREAMS, STAFF))["pullStreams"]
    assert page["nodes"] == [
        shown | {"connection": "mute", "stream": "orders", "failing": False},
        shown | {"connection": "web", "stream": "customers", "failing": False},
    ]
    failing = shown | {"connection": "web", "stream": "orders", "failing": True}
    rest = await api.data(STREAMS, STAFF, after=page["pageInfo"]["endCursor"])
    assert rest["pullStreams"]["nodes"] == [failing]
    only = await api.data(STREAMS, ADMIN, only={"connection": "web"})
    assert only["pullStreams"]["nodes"] == [page["nodes"][1], failing]
    for told in ({"failing": True}, {"failing": True, "business": "shop", "connection": "web"}):
        assert (await api.data(STREAMS, ADMIN, only=told))["pullStreams"]["nodes"] == [failing]
    well = await api.data(STREAMS, ADMIN, only={"failing": False})
    assert well["pullStreams"]["nodes"] == page["nodes"]
    assert (await api.data(STREAMS, ADMIN, only={"business": "hotel"}))["pullStreams"][
        "nodes"
    ] == []
    assert await api.code(STREAMS, ADMIN, only={"business": "nowhere"}) == "not_found"
