"""Kiosk through the hub's conformance kit."""

import hashlib
import hmac
import json

from connectors.conformance import Body, DialectConformance
from hub.connector import Connection, FactKey, Inbound
from hub_connector_kiosk import Config, connector


def body(**ticket: object) -> Body:
    return Body(json.dumps(ticket).encode())


SALE = {"id": "T1", "kind": "sale", "at": "2026-03-05T12:00:00+08:00", "total": "42.00"}
SOLD = {**SALE, "customer": "C1", "phone": "13812345678"}
REFUND = {"id": "R1", "kind": "refund", "at": "2026-03-06T12:00:00+08:00", "total": "2.00"}


class TestKiosk(DialectConformance):
    connector = connector
    connection = Connection(
        connection_id="kiosk",
        config=Config(),
        secrets=("new", "old"),
        time_zone="Asia/Shanghai",
        currency="CNY",
    )
    pushed = (body(**SOLD), body(**REFUND, of="T1"))
    pulled = (
        body(tickets=[{**SALE, "customer": "C1", "phone": "13812345678"}, {**REFUND, "of": "T1"}]),
    )
    expected = frozenset({FactKey("sale", "T1"), FactKey("refund", "R1")})
    broken = (
        (body(kind="sale"), "id"),
        (body(tickets=1), "tickets"),
        (body(**REFUND), "of"),
        (body(**{**SALE, "total": "much"}), "total"),
    )
    refused = ((body(**{**SALE, "kind": "test"}), "no sale"),)

    def sign(self, body: Body, secret: str | None) -> Inbound:
        headers = {}
        if secret is not None:
            headers["x-signature"] = hmac.new(secret.encode(), body.raw, hashlib.sha256).hexdigest()
        return Inbound(body=body.raw, headers=headers, url="https://hub.example/hooks/kiosk")
