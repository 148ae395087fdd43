"""How each system proves its deliveries: what is signed, by which header, to which URL."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.sandbox.delivery import Delivery, identifier
from hub.clock import now
from hub.connector import hmac_sha256_base64

YOUZAN_CLIENT = "sandbox-youzan-client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """One HTTP POST, ready to be sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def sign(delivery: Delivery, *, url: str, secret: str, copy: int = 0) -> Signed:
    """Sign a delivery for `url` the way its system does. A further `copy` has a transport id of its
    own where the system gives each delivery one, as a second subscription's would.
    """
    headers = {"content-type": "application/json"}
    if delivery.system in _HEADERS:
        headers |= _HEADERS[delivery.system](delivery, url, secret, copy)
    else:
        url = f"{url}?token={secret}"
    return Signed(url=url, headers=headers, body=delivery.body)


def _transport(delivery: Delivery, copy: int) -> str:
    return identifier(delivery.transport_id, copy) if copy else delivery.transport_id


def _shopify(delivery: Delivery, url: str, secret: str, copy: int) -> dict[str, str]:
    return {
        "x-shopify-topic": delivery.topic or "",
        "x-shopify-hmac-sha256": hmac_sha256_base64(secret, delivery.body),
        "x-shopify-webhook-id": _transport(delivery, copy),
        "x-shopify-event-id": identifier(delivery.transport_id, "event"),
        "x-shopify-triggered-at": delivery.sent_at.isoformat(),
    }


def _square(delivery: Delivery, url: str, secret: str, copy: int) -> dict[str, str]:
    signature = hmac_sha256_base64(secret, url.encode() + delivery.body)
    return {"x-square-hmacsha256-signature": signature}


def _woocommerce(delivery: Delivery, url: str, secret: str, copy: int) -> dict[str, str]:
    return {
        "x-wc-webhook-topic": delivery.topic or "",
        "x-wc-webhook-signature": hmac_sha256_base64(secret, delivery.body),
        "x-wc-webhook-delivery-id": _transport(delivery, copy),
    }


def _youzan(delivery: Delivery, url: str, secret: str, copy: int) -> dict[str, str]:
    signed = YOUZAN_CLIENT.encode() + delivery.body + secret.encode()
    return {
        "event-type": delivery.topic or "",
        "event-sign": hashlib.md5(signed).hexdigest(),  # noqa: S324  (Youzan's choice)
    }


def _toast(delivery: Delivery, url: str, secret: str, copy: int) -> dict[str, str]:
    stated = json.loads(delivery.body)["timestamp"].encode()
    return {"toast-signature": hmac_sha256_base64(secret, delivery.body + stated)}


def _ohip(delivery: Delivery, url: str, secret: str, copy: int) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def _opentravel(delivery: Delivery, url: str, secret: str, copy: int) -> dict[str, str]:
    pair = base64.b64encode(f"sender:{secret}".encode()).decode()
    return {"content-type": "application/xml", "authorization": f"Basic {pair}"}


def _canonical(delivery: Delivery, url: str, secret: str, copy: int) -> dict[str, str]:
    """A call is signed when it is sent; a repeated one keeps its id."""
    sent_at = str(int(now().timestamp()))
    signed = f"{delivery.transport_id}.{sent_at}.".encode() + delivery.body
    return {
        "webhook-id": delivery.transport_id,
        "webhook-timestamp": sent_at,
        "webhook-signature": f"v1,{_standard_webhooks(secret, signed)}",
    }


def _standard_webhooks(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


# Mews and Apaleo sign nothing: their URL holds a token.
_HEADERS: Mapping[str, Callable[[Delivery, str, str, int], dict[str, str]]] = {
    "shopify": _shopify,
    "square": _square,
    "woocommerce": _woocommerce,
    "youzan": _youzan,
    "toast": _toast,
    "ohip": _ohip,
    "opentravel": _opentravel,
    "canonical": _canonical,
}
