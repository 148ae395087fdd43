"""The streaming API: what is subscribed to, and where a message stands.

Facts: docs.oracle.com, "Oracle Hospitality Integration Platform, Streaming Implementation Guide"
and the user guide's "Connecting to the Streaming API".
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from connectors.hotel.ohip.config import OhipConfig
from connectors.hotel.ohip.upstream import app_key, fetch_token
from hub.connector import Place, Subscription, UpstreamClient, as_text, parse_object
from hub.errors import Malformed

_FIELDS = (
    "metadata { offset uniqueEventId } moduleName eventName primaryKey timestamp hotelId "
    "detail { elementName oldValue newValue }"
)
# A stream closes when its token ends; what is on its way by then would have to be sent again.
_LEAVES_BEFORE_SECONDS = 300
_REASONS = {
    400: "the gateway knows no such stream: check the app key, its subscription and the address",
    401: "the gateway does not take the app key",
    403: "the environment's owner has not approved the subscription",
    4400: "OPERA does not take the subscription: check chain_code",
    4401: "OPERA does not take the credentials",
    4403: "OPERA does not let these credentials subscribe: check chain_code and the approval",
}


async def subscribe(client: UpstreamClient, cursor: str | None, config: OhipConfig) -> Subscription:
    """Say what to open: the app key only as its hash, the token where nobody logs it."""
    token, lives = await fetch_token(client, config)
    wanted = f'chainCode: "{config.chain_code}"'
    if cursor is not None:
        wanted += f", offset: {json.dumps(cursor)}"
    hashed = hashlib.sha256(app_key(config).encode()).hexdigest()
    return Subscription(
        path=f"/subscriptions?key={hashed}",
        hello={"Authorization": f"Bearer {token}"},
        asks={
            "variables": {},
            "extensions": {},
            "operationName": None,
            "query": f"subscription {{ newEvent(input: {{ {wanted} }}) {{ {_FIELDS} }} }}",
        },
        lives_seconds=max(lives - _LEAVES_BEFORE_SECONDS, lives // 2),
        reasons=_REASONS,
    )


def place_of(body: bytes) -> Place:
    """Read the offset, a text, and the unique id of a message."""
    try:
        message = parse_object(body)
    except Malformed:
        return Place(cursor=None, dedup_id=None)
    offset = _metadata(message, "offset")
    return Place(cursor=offset if offset else None, dedup_id=unique_id(message))


def unique_id(message: Mapping[str, Any]) -> str | None:
    """Return the id of a streamed event, as far as one can be stored."""
    return _metadata(message, "uniqueEventId")


def _metadata(message: Mapping[str, Any], name: str) -> str | None:
    found: Any = message
    path = ("payload", "data", "newEvent") if "payload" in message else ("newEvent",)
    for key in (*path, "metadata", name):
        found = found.get(key) if isinstance(found, Mapping) else None
    return as_text(found) if isinstance(found, str) else None
