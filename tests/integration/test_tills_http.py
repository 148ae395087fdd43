"""Tills over HTTP: signed, validated, answered with problems that name the field."""

from datetime import timedelta
from typing import Any

import httpx2
import orjson
from sqlalchemy import text
from standardwebhooks import Webhook

from hub.clock import now
from hub.crypto.tokens import Scope
from hub.entrypoints import till_openapi
from hub.intake.connections import ConnectionConfig, connect
from tests.integration.api_kit import DINER, HOTEL, Api
from tests.integration.test_graphql_carts import PHONE, act, guest
from tests.integration.test_graphql_scopes import limited

SECRET = "whsec_dGlsbHMtYXJlLXNpZ25lZC1saWtlLXdlYmhvb2tz"
CART = {"lines": [{"id": "a", "unit_price_minor": 500, "quantity": 2}], "currency": "CNY"}


def signed(content: bytes, *, ago: int = 0) -> dict[str, str]:
    """Return the headers that a till sends with a body."""
    at = now() - timedelta(seconds=ago)
    return {
        "content-type": "application/json",
        "webhook-id": "msg",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg", at, content.decode()),
    }


async def connect_till(api: Api) -> None:
    """Give the diner's till a connection."""
    config = ConnectionConfig(code="pos", business="diner", connector="canonical", secrets=[SECRET])
    async with api.engine.begin() as db:
        await connect(db, config=config, keyring=api.keyring)


async def send(
    api: Api, operation: str, *, to: str | None = None, ago: int = 0, **body: Any
) -> httpx2.Response:
    content = orjson.dumps({"operation": operation, **body})
    return await api.client.post(
        f"/tills/pos/{to or operation}", content=content, headers=signed(content, ago=ago)
    )


async def test_a_till_quotes_reserves_redeems_and_refunds(api: Api) -> None:
    await connect_till(api)
    await api.join("diner", "1", phone="+8613917025566")
    cart = {**CART, "member": {"phone": "+8613917025566"}}
    assert (await send(api, "quote", cart=cart)).json()["quote"]["payable_minor"] == 1_000
    for _ in range(2):
        reserved = await send(api, "reserve", key="k", cart=cart)
        assert (reserved.status_code, reserved.json()["state"]) == (200, "reserved")
    other = await send(api, "reserve", key="k", cart=CART)
    assert (other.status_code, other.json()["field"]) == (409, "cart.member")
    assert other.headers["content-type"] == "application/problem+json"
    assert (await send(api, "redeem", key="k")).json()["state"] == "redeemed"
    line = {"id": "a", "quantity": 1}
    back = (await send(api, "refund", key="k", refund_key="r", lines=[line])).json()
    assert (back["payable_minor"], back["left_minor"]) == (500, 500)
    assert (await send(api, "release", key="k")).json()["refusal"]["reason"] == "redeemed"

    assert (await send(api, "quote", ago=600, cart=CART)).status_code == 401
    crossed = await send(api, "release", to="redeem", key="k")
    assert (crossed.status_code, crossed.json()["field"]) == (400, "operation")
    forged = await api.client.post("/tills/pos/quote", content=b"{}")
    assert forged.status_code == 401
    wrong = {**CART, "lines": [{"id": "a", "unit_price_minor": -1}]}
    said = (await send(api, "quote", cart=wrong)).json()
    assert (said["status"], said["field"]) == (400, "cart.lines[0].unit_price_minor")
    for odd, field in (({"currency": "USD"}, "currency"), ({"vouchers": ["no"]}, "vouchers[0]")):
        said = (await send(api, "quote", cart={**CART, **odd})).json()
        assert (said["status"], said["field"]) == (400, f"cart.{field}")
    nobody = await send(api, "quote", cart={**CART, "member": {"phone": "+8613917020000"}})
    assert nobody.status_code == 404
    assert (await send(api, "redeem", key="never")).status_code == 422


async def test_the_document_is_served_and_current(api: Api) -> None:
    served = (await api.client.get("/tills/openapi.json")).text
    assert served == till_openapi.PLACE.read_text()


async def test_whatever_is_refused_is_a_problem_document(api: Api) -> None:
    await connect_till(api)
    body = orjson.dumps({"operation": "quote", "cart": CART})
    large = b" " * 100_001
    refused = [
        (404, "not_found", await api.client.post("/tills/nobody/quote", content=body)),
        (404, "not_found", await api.client.get("/tills/pos")),
        (404, "not_found", await send(api, "quote", to="sell")),
        (405, "method_not_allowed", await api.client.get("/tills/pos/quote")),
        (401, "signature_invalid", await api.client.post("/tills/pos/quote", content=body)),
        (413, "too_large", await api.client.post("/tills/pos/quote", content=large)),
        (415, "unsupported_media_type", await api.client.post(
            "/tills/pos/quote", content=body, headers={**signed(body), "content-type": "text/xml"}
        )),
    ]  # fmt: skip
    for status, code, answer in refused:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
        assert (problem["type"], problem["title"]) == ("about:blank", code.replace("_", " "))
    assert refused[3][2].headers["allow"] == "POST"
    assert refused[4][2].headers["www-authenticate"]
    # Elsewhere errors are what they were.
    assert (await api.client.get("/nowhere")).json()["error"]["code"] == "not_found"


async def test_baskets_meet_whichever_way_a_till_asks(api: Api) -> None:
    await connect_till(api)
    await guest(api)
    said = {**CART, "member": PHONE, "points": 100}
    cart = {"lines": [{"id": "a", "unitPriceMinor": 500, "quantity": 2}], "points": 100}
    by_graphql = {"idempotencyKey": "k-1", "cart": cart, "member": PHONE}
    assert (await act(api, "reserveCart", DINER, **by_graphql))["state"] == "RESERVED"
    assert (await send(api, "reserve", key="k-1", cart=said)).json()["replayed"]
    assert (await send(api, "redeem", key="k-1")).json()["state"] == "redeemed"
    half = {"basket": "k-1", "idempotencyKey": "r-1", "lines": [{"id": "a", "quantity": 1}]}
    back = await act(api, "refundCart", DINER, **half)
    again = {"key": "k-1", "refund_key": "r-1", "lines": half["lines"]}
    replayed = (await send(api, "refund", **again)).json()
    assert (replayed["replayed"], replayed["payable_minor"]) == (True, back["payableMinor"])
    # A token that may not spend points cannot have another's reservation spend them.
    for key in ("k-2", "k-3"):
        assert (await send(api, "reserve", key=key, cart=said)).json()["state"] == "reserved"
    no_points = limited(DINER, Scope.BENEFITS_USE)
    refused = await act(api, "redeemCart", no_points, idempotencyKey="k-2")
    assert refused["__typename"] == "Forbidden"
    assert (await act(api, "redeemCart", DINER, idempotencyKey="k-2"))["state"] == "REDEEMED"
    assert (await act(api, "releaseCart", no_points, idempotencyKey="k-3"))["state"] == "RELEASED"
    assert (await act(api, "redeemCart", HOTEL, idempotencyKey="k-1"))["about"]["reason"] == (
        "unknown_basket"
    )


async def test_what_was_kept_under_keys_of_its_own_is_still_found(api: Api) -> None:
    await connect_till(api)
    await guest(api)
    own = {**CART, "benefits": [], "vouchers": []}
    assert (await send(api, "reserve", key="k", cart=own)).json()["state"] == "reserved"
    assert (await send(api, "redeem", key="k")).json()["state"] == "redeemed"
    assert (await send(api, "refund", key="k", refund_key="r")).json()["payable_minor"] == 1_000
    async with api.engine.begin() as db:
        await db.execute(
            text("UPDATE till_basket SET idempotency_key = 'api:k', prefixed = true")
        )  # fmt: skip
        await db.execute(
            text("""
              INSERT INTO till_refund (business_id, idempotency_key, basket_id, at, asked, answer)
              SELECT business_id, 'api:r', basket_id, at,
                '{"key": "api:k", "lines": null}', answer || '{"points": 7}'
              FROM till_refund""")
        )
    both = {"basket": "k", "idempotencyKey": "r"}
    assert (await send(api, "redeem", key="k")).json()["replayed"]
    assert (await act(api, "refundCart", DINER, **both))["points"] == 7
    # A till that uses the key anew by HTTP had no basket of it before: it meets GraphQL's.
    other = await send(api, "reserve", key="k", cart={**own, "member": PHONE})
    assert (other.status_code, other.json()["field"]) == (409, "cart.member")
    async with api.engine.begin() as db:
        await db.execute(text("UPDATE till_basket SET prefixed = false"))
    assert (await send(api, "redeem", key="k")).status_code == 422
    assert (await send(api, "redeem", key="api:k")).json()["state"] == "redeemed"
