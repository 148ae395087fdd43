"""The second world's own credentials, and how a hub's connections to it are configured."""

from typing import Any

from connectors.sandbox.signing import YOUZAN_CLIENT

WOO_KEY, WOO_SECRET = "ck_sandbox", "cs_sandbox"
YOUZAN_TOKEN = "sandbox-youzan-token"  # noqa: S105
TOAST_CLIENT, TOAST_SECRET = "sandbox-toast-client", "sandbox-toast-secret"
TOAST_LOYALTY_KEY = "sandbox-toast-loyalty-key"
RESTAURANT = "5a1c9f1e-7d0b-4c35-9f3a-2f6f1c7f0b10"
ROOM_CHARGE = "9d2f6a44-3c0a-4c55-8a53-52b8f3d0c911"
APALEO_CLIENT, APALEO_SECRET = "sandbox-apaleo-client", "sandbox-apaleo-secret"
PROPERTY = "LKS"
OHIP_CLIENT, OHIP_SECRET, OHIP_APP = "sandbox-ohip-client", "sandbox-ohip-secret", "sandbox-app"
OHIP_QUEUE = "HUB"
HOTEL = "LKS"
OHIP_CHAIN = "SBX"
"""Configured as `chain_code`, a hub listens to the stream instead of emptying the queue."""

_BUDGET = {"requests": 1000, "per_seconds": 1}
_PROVEN = ["phone", "email"]
_SHANGHAI = {"time_zone": "Asia/Shanghai"}


def connections(base_url: str) -> dict[str, dict[str, Any]]:
    """Return, per connector, the `config` and `secrets` that fit this sandbox at `base_url`."""
    common = {"base_url": base_url, "verifies": _PROVEN, "rate_budget": _BUDGET}
    configs: dict[str, dict[str, Any]] = {
        "woocommerce": {**common, "consumer_key": WOO_KEY, "consumer_secret": WOO_SECRET},
        "youzan": {**common, "access_token": YOUZAN_TOKEN, "client_id": YOUZAN_CLIENT},
        "toast": {
            **common,
            "client_id": TOAST_CLIENT,
            "client_secret": TOAST_SECRET,
            "restaurants": [RESTAURANT],
            "outlets": {RESTAURANT: {**_SHANGHAI, "day_starts_at_hour": 5}},
            "other_payments": {ROOM_CHARGE: "room_charge"},
            "loyalty": {
                "api_keys": [TOAST_LOYALTY_KEY],
                "offers": {"off-10": {"name": "10 off", "points": 500, "amount": "10"}},
            },
        },
        "apaleo": {
            **common,
            "client_id": APALEO_CLIENT,
            "client_secret": APALEO_SECRET,
            "token_url": f"{base_url}/connect/token",
            "outlets": {PROPERTY: _SHANGHAI},
        },
        "ohip": {
            **common,
            "client_id": OHIP_CLIENT,
            "client_secret": OHIP_SECRET,
            "enterprise_id": "SANDBOX",
            "app_key": OHIP_APP,
            "hotels": [HOTEL],
            "external_system": OHIP_QUEUE,
            "line_kinds": {"1000": "room", "2000-2999": "item", "1900": "tax"},
            "payment_kinds": {"9000": "card"},
            "outlets": {HOTEL: _SHANGHAI},
        },
        "opentravel": {
            "verifies": _PROVEN,
            "revenue_kinds": {"category:9": "room", "category:4": "item", "GOODWILL": "rebate"},
            "outlets": {HOTEL: _SHANGHAI},
        },
        "canonical": {"verifies": _PROVEN},
    }
    return {
        name: {"config": config, "secrets": [_SECRETS.get(name, f"sandbox-{name}-secret")]}
        for name, config in configs.items()
    }


_SECRETS = {"canonical": "whsec_c2FuZGJveC1jYW5vbmljYWwtc2VjcmV0LTAwMDE="}
