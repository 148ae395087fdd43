# ruff: noqa: E501 (one row per sample reads best)
"""The vendors' own payloads, read where they are kept beside the project and skipped elsewhere.

Every file has exactly one expected outcome in the tables: the facts it yields, or the words of
the reason for which it yields none. A sample without a row fails too.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.conformance import NOW, CannedUpstream
from connectors.dining.square import connector as square
from connectors.dining.square.config import SquareConfig
from connectors.hotel.apaleo import connector as apaleo
from connectors.hotel.apaleo.config import ApaleoConfig
from connectors.hotel.mews import connector as mews
from connectors.hotel.mews.config import MewsConfig
from connectors.hotel.ohip import connector as ohip
from connectors.hotel.ohip.config import OhipConfig
from connectors.hotel.opentravel import connector as opentravel
from connectors.hotel.opentravel.config import OpenTravelConfig
from connectors.retail.shopify import connector as shopify
from connectors.retail.shopify.config import ShopifyConfig
from connectors.retail.woocommerce import connector as woocommerce
from connectors.retail.woocommerce.config import WooCommerceConfig
from connectors.retail.youzan import connector as youzan
from connectors.retail.youzan.config import YouzanConfig
from hub.connector import (
    CanonicalEvent,
    Connection,
    Connector,
    Hydrating,
    Inbound,
    Refused,
    SignatureInvalid,
    SourceEvent,
)
from hub.errors import Malformed
from tests.conformance import (
    outcomes_apaleo,
    outcomes_ohip,
    outcomes_opentravel,
    outcomes_toast,
    outcomes_woocommerce,
    outcomes_youzan,
)

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"
pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the vendors' samples are not kept beside this checkout"
)

CONNECTIONS = {
    "shopify": (shopify, ShopifyConfig(), "USD"),
    "square": (square, SquareConfig(), "USD"),
    "mews": (mews, MewsConfig(), "EUR"),
    "woocommerce": (woocommerce, WooCommerceConfig(), "USD"),
    "youzan": (youzan, YouzanConfig(client_id="cid"), "CNY"),
    "toast": outcomes_toast.CONNECTION,
    "apaleo": (apaleo, ApaleoConfig(), "EUR"),
    "ohip": (ohip, OhipConfig(), "USD"),
    "ota": (opentravel, OpenTravelConfig(), "EUR"),
}

OUTCOMES: dict[str, str] = {
    **outcomes_toast.OUTCOMES,
    "shopify/pyapi_customer.json": "profile.changed 207119551@1432764684000",
    "shopify/pyapi_gift_card.json": "refused: gift_card is no order, refund or customer",
    "shopify/pyapi_gift_card_adjustment.json": "refused: adjustment is no order, refund or customer",
    "shopify/pyapi_order.json": "refused: financial_status is authorized",
    "shopify/pyapi_orders.json": "refused: the order comes without its line_items",
    "shopify/pyapi_refund.json": "refund.recorded 509562969 20900 USD",
    "shopify/pyapi_refund_calculate.json": "refused: a calculated refund is a suggestion; nothing was paid back",
    "shopify/pyapi_tender_transactions.json": "refused: tender_transactions is no order, refund or customer",
    "shopify/pyapi_transaction.json": "refused: transaction is no order, refund or customer",
    "shopify/pyapi_transactions.json": "refused: a bare list is no order, refund or customer",
    "shopify/webhook_orders_paid_activepieces.scrubbed.json": "sale.completed 5324830114101 262995 USD",
    "square/customers__get.json": "profile.changed JDKYHBWT1D4F8MFH63DBMEN8Y4@1",
    "square/customers__list.json": "profile.changed JDKYHBWT1D4F8MFH63DBMEN8Y4@1",
    "square/events__SearchEvents.json": "refused: dispute.state.updated says nothing about sales or customers",
    "square/giftCards_activities__create.json": "refused: gift_card_activity is no order, payment, refund or customer",
    "square/giftCards_activities__list.json": "refused: gift_card_activities is no order, payment, refund or customer",
    "square/locations__get.json": "refused: location is no order, payment, refund or customer",
    "square/locations__list.json": "refused: locations is no order, payment, refund or customer",
    "square/loyalty__searchEvents.json": "refused: ACCUMULATE_POINTS says nothing about sales or customers; REDEEM_REWARD says nothing about sales or customers; CREATE_REWARD says nothing about sales or customers",
    "square/loyalty_accounts__accumulatePoints.json": "refused: ACCUMULATE_POINTS says nothing about sales or customers",
    "square/loyalty_accounts__adjust.json": "refused: event is no order, payment, refund or customer",
    "square/loyalty_accounts__get.json": "refused: loyalty_account is no order, payment, refund or customer",
    "square/orders__calculate.json": "refused: order is OPEN",
    "square/orders__create.json": "refused: order is OPEN",
    "square/orders__get.json": "refused: order is OPEN",
    "square/orders__pay.json": "malformed order.total_tip_money.currency: an amount in UNKNOWN_CURRENCY on a bill in USD",
    "square/orders__search.json": "refused: order is OPEN",
    "square/orders__update.json": "refused: order is OPEN",
    "square/payments__cancel.json": "payment.reversed 1QjqpBVyrI9S4H9sTGDWU9JeiWdZY 1000 USD",
    "square/payments__complete.json": "payment.recorded bP9mAsEMYPUGjjGNaNO5ZDVyLhSZY 555 USD",
    "square/payments__create.json": "payment.recorded R2B3Z8WMVt3EAmzYWLZvz7Y69EbZY 1000 USD",
    "square/payments__get.json": "payment.recorded bP9mAsEMYPUGjjGNaNO5ZDVyLhSZY 555 USD",
    "square/payments__list.json": "payment.recorded bP9mAsEMYPUGjjGNaNO5ZDVyLhSZY 555 USD",
    "square/refunds__RefundPayment.json": "refused: refund status is PENDING",
    "square/refunds__get.json": "refund.recorded bP9mAsEMYPUGjjGNaNO5ZDVyLhSZY_69MmgHubkLqx9wGhnmenRUHOaKitE6llfZuxcWYjGxd 555 USD",
    "square/refunds__list.json": "refund.recorded bP9mAsEMYPUGjjGNaNO5ZDVyLhSZY_69MmgHubkLqx9wGhnmenRUHOaKitE6llfZuxcWYjGxd 555 USD",
    "square/sandbox_payment_canceled_voided.json": "payment.reversed loPWmSQLvpSMgfvHH1ims8VUTDaZY 500 USD",
    "square/sandbox_payment_completed.json": "payment.recorded nneK6BjIQRXh32F97v8JOXfm9oAZY 8803 USD",
    "square/webhooks_subscriptions__create.json": "refused: subscription is no order, payment, refund or customer",
    "mews/bills__get_all_bills.json": "refused: a bill is paper; what was charged comes with the reservation's order items",
    "mews/customers__get_all_customers.json": "profile.changed fadd5bb6-b428-45d5-94f8-fd0d89fece6d@1514851200000",
    "mews/ledgerbalances__get_all_ledger_balances.json": "refused: LedgerBalances says nothing about stays or guests",
    "mews/loyaltymemberships__get_all_loyalty_memberships.json": "refused: LoyaltyMemberships says nothing about stays or guests",
    "mews/loyaltyprograms__get_all_loyalty_programs.json": "refused: LoyaltyPrograms says nothing about stays or guests",
    "mews/loyaltytiers__get_all_loyalty_tiers.json": "refused: LoyaltyTiers says nothing about stays or guests",
    "mews/orderitems__get_all_order_items.json": "refused: reservation is Confirmed; refused: reservation is Confirmed",
    "mews/outletitems__get_all_outlet_items.json": "refused: OutletItems says nothing about stays or guests",
    "mews/reservations__get_all_reservations_ver_2023_06_06.json": "refused: reservation is Confirmed",
    "mews/webhook_general_0.json": "refused: reservation is Confirmed; profile.changed fadd5bb6-b428-45d5-94f8-fd0d89fece6d@1514851200000; profile.changed fadd5bb6-b428-45d5-94f8-fd0d89fece6d@1514851200000",
    "mews/webhook_integration_0.json": "refused: IntegrationCreated is about the integration, not about guests",
    **outcomes_woocommerce.OUTCOMES,
    **outcomes_youzan.OUTCOMES,
    **outcomes_apaleo.OUTCOMES,
    **outcomes_ohip.OUTCOMES,
    **outcomes_opentravel.OUTCOMES,
}


def raw(name: str) -> bytes:
    if name.endswith(".xml"):
        return (SAMPLES / name).read_bytes()
    document = json.loads((SAMPLES / name).read_bytes())
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def upstream(name: str) -> CannedUpstream:
    """Answer as the system would whose API returned these samples."""
    answers: dict[tuple[str, str], Any] = {}
    if name.startswith("square/"):
        answers["GET", "/v2/customers/customer_id"] = raw("square/customers__get.json")
        document = json.loads(raw(name))
        for order in [document.get("order"), *document.get("orders", ())]:
            if order:
                answers["GET", f"/v2/orders/{order['id']}"] = json.dumps({"order": order}).encode()
    if name.startswith("mews/"):
        api = "/api/connector/v1"
        for operation, sample in (
            ("reservations/getAll/2023-06-06", "reservations__get_all_reservations_ver_2023_06_06"),
            ("orderItems/getAll", "orderitems__get_all_order_items"),
            ("customers/getAll", "customers__get_all_customers"),
        ):
            answers["POST", f"{api}/{operation}"] = raw(f"mews/{sample}.json")
        answers["POST", f"{api}/payments/getAll"] = b'{"Payments": []}'
    answers |= outcomes_apaleo.ANSWERS
    for path, sample in outcomes_ohip.ANSWERS.items():
        answers[path] = raw(sample) if sample.endswith(".json") else sample.encode()
    return CannedUpstream(answers)


async def outcome(name: str) -> str:
    """Say in one line what becomes of a sample."""
    system = name.split("/", maxsplit=1)[0]
    connector, config, currency = CONNECTIONS[system]
    connection = Connection(
        connection_id=system,
        config=config,
        secrets=(),
        time_zone="America/New_York",
        currency=currency,
    )
    try:
        events = connector.decode(raw(name), None)
    except (Refused, Malformed) as why:
        return reason(why)
    return "; ".join([await event_outcome(connector, event, connection, name) for event in events])


async def event_outcome(
    connector: Connector, event: SourceEvent, connection: Connection, name: str
) -> str:
    try:
        if event.snapshot is None:
            assert isinstance(connector, Hydrating)
            snapshot = await connector.hydrate(upstream(name), event, connection)
            event = replace(event, snapshot=snapshot)
        return ", ".join(said(found) for found in connector.map(event, (), connection))
    except (Refused, Malformed) as why:
        return reason(why)


def said(found: CanonicalEvent) -> str:
    if found.totals is not None:
        worth = f" {found.totals.total_minor} {found.currency}"
    elif found.tenders:
        worth = f" {sum(one.amount_minor for one in found.tenders)} {found.currency}"
    else:
        worth = ""
    return f"{found.type} {found.fact.id}{worth}"


def reason(why: Refused | Malformed) -> str:
    if isinstance(why, Malformed):
        return f"malformed {why.field}: {why.message}"
    return f"refused: {why.message}"


@pytest.mark.parametrize("name", sorted(OUTCOMES))
async def test_every_sample_has_its_outcome(name: str) -> None:
    assert await outcome(name) == OUTCOMES[name]


def test_every_sample_has_a_row() -> None:
    kept = {f"{system}/{path.name}" for system in CONNECTIONS for path in samples_of(system)}
    assert kept == set(OUTCOMES)


def samples_of(system: str) -> list[Path]:
    return sorted(path for path in (SAMPLES / system).iterdir() if path.suffix in (".json", ".xml"))


async def test_a_sample_reservation_that_is_over_is_a_stay() -> None:
    _, config, currency = CONNECTIONS["mews"]
    connection = Connection(
        connection_id="mews",
        config=config,
        secrets=(),
        time_zone="Europe/Prague",
        currency=currency,
    )
    name = "mews/reservations__get_all_reservations_ver_2023_06_06.json"
    (event,) = mews.decode(raw(name), None)
    sample = upstream(name)
    page = json.loads(raw(name))
    page["Reservations"][0] |= {"State": "Processed", "ActualEndUtc": "2023-04-25T11:00:00Z"}
    path = "/api/connector/v1/reservations/getAll/2023-06-06"
    sample.answers = {**sample.answers, ("POST", path): json.dumps(page).encode()}
    snapshot = await mews.hydrate(sample, event, connection)
    (stay,) = mews.map(replace(event, snapshot=snapshot), (), connection)
    assert said(stay) == "stay.completed 0f515589-99b4-423d-b83a-b237009f0509 10500 EUR"
    assert [(line.kind.value, line.net_minor) for line in stay.lines] == [
        ("room", 9346),
        ("city_tax", 500),
    ]


VECTORS = SAMPLES / "signature_vectors.json"
_SECRETS = ("secret", "key", "client_secret")


@pytest.mark.parametrize("dialect", ["shopify", "square", "toast", "woocommerce", "youzan"])
def test_signature_vectors(dialect: str) -> None:
    (vector,) = [
        one for one in json.loads(VECTORS.read_bytes())["vectors"] if one["dialect"] == dialect
    ]
    body = raw(vector["sample"])
    assert hashlib.sha256(body).hexdigest() == vector["body_sha256"]
    connector, config, currency = CONNECTIONS[dialect]
    connection = Connection(
        connection_id=dialect,
        config=config,
        secrets=tuple(vector[name] for name in _SECRETS if name in vector),
        time_zone="UTC",
        currency=currency,
    )
    inbound = Inbound(
        body=body,
        headers={name.lower(): value for name, value in vector["header"].items()},
        url=vector.get("url", "https://hub.example.test/hooks/shopify"),
    )
    connector.verify(inbound, connection, NOW)
    with pytest.raises(SignatureInvalid):
        connector.verify(replace(inbound, body=body + b" "), connection, NOW)
