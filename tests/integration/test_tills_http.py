"""Tills over HTTP: signed, validated, answered with problems that name the field."""

from datetime import timedelta
from typing import Any

import httpx2
import orjson
from standardwebhooks import Webhook

from hub.clock import now
from hub.entrypoints import till_openapi
from hub.intake.connections import ConnectionConfig, connect
from tests.integration.api_kit import Api

SECRET = "whsec_dGlsbHMtYXJlLXNpZ25lZC1saWtlLXdlYmhvb2tz"
CART = {"lines": [{"id": "a", "unit_price_minor": 500, "quantity": 2}], "currency": "CNY"}


async def send(
    api: Api, operation: str, *, to: str | None = None, ago: int = 0, **body: Any
) -> httpx2.Response:
    content = orjson.dumps({"operation": operation, **body})
    at = now() - timedelta(seconds=ago)
    headers = {
        "webhook-id": "msg",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg", at, content.decode()),
    }
    return await api.client.post(f"/tills/pos/{to or operation}", content=content, headers=headers)


async def test_a_till_quotes_reserves_redeems_and_refunds(api: Api) -> None:
    config = ConnectionConfig(code="pos", business="diner", connector="canonical", secrets=[SECRET])
    async with api.engine.begin() as db:
        await connect(db, config=config, keyring=api.keyring)
    await api.join("diner", "1", phone="+8613917025566")
    cart = {**CART, "member": {"phone": "+8613917025566"}}
    assert (await send(api, "quote", cart=cart)).json()["quote"]["payable_minor"] == 1_000
    for _ in range(2):
        reserved = await send(api, "reserve", key="k", cart=cart)
        assert (reserved.status_code, reserved.json()["state"]) == (200, "reserved")
    other = await send(api, "reserve", key="k", cart=CART)
    assert (other.status_code, other.json()["field"]) == (409, "member")
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
    nobody = await send(api, "quote", cart={**CART, "member": {"phone": "+8613917020000"}})
    assert nobody.status_code == 404
    assert (await send(api, "redeem", key="never")).status_code == 422


async def test_the_document_is_served_and_current(api: Api) -> None:
    served = (await api.client.get("/tills/openapi.json")).text
    assert served == till_openapi.PLACE.read_text()
