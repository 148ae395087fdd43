"""The sandbox's own credentials, and how a hub's connections to it are configured.

They guard nothing but invented data; that they are checked all the same is what makes them useful.
"""

from typing import Any

from connectors.sandbox.hotel import SERVICE_ID

SHOPIFY_TOKEN = "sandbox-shopify-access-token"  # noqa: S105
SQUARE_TOKEN = "sandbox-square-access-token"  # noqa: S105
MEWS_CLIENT_TOKEN = "sandbox-mews-client-token"  # noqa: S105
MEWS_ACCESS_TOKEN = "sandbox-mews-access-token"  # noqa: S105

# A local server has more patience than the systems it plays: loading a sample may take seconds.
_BUDGET = {"requests": 1000, "per_seconds": 1}
_PROVEN = ["phone", "email"]


def connections(base_url: str) -> dict[str, dict[str, Any]]:
    """Return, per connector, the `config` and `secrets` that fit this sandbox at `base_url`.

    All three businesses prove phones and emails before they store them; see `verifies`.
    """
    common = {"base_url": base_url, "verifies": _PROVEN, "rate_budget": _BUDGET}
    return {
        "shopify": {
            "config": {
                **common,
                "access_token": SHOPIFY_TOKEN,
                "gateway_kinds": {"alipay": "wallet", "wechat_pay": "wallet"},
            },
            "secrets": ["sandbox-shopify-secret"],
        },
        "mews": {
            "config": {
                **common,
                "client_token": MEWS_CLIENT_TOKEN,
                "access_token": MEWS_ACCESS_TOKEN,
                "outlets": {SERVICE_ID: {"time_zone": "Asia/Shanghai"}},
            },
            "secrets": ["sandbox-mews-token"],
        },
        "square": {
            "config": {**common, "access_token": SQUARE_TOKEN},
            "secrets": ["sandbox-square-signature-key"],
        },
    }
