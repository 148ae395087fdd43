"""Subscribe: which business is told what, where, and what signs the calls."""

import base64
import binascii
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import inet_aton, inet_ntoa
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.delivery import seal
from hub.crypto.keyring import Keyring
from hub.egress.events import UNLESS_SAID, EventKind
from hub.programme.queries import business_by_code

SECRET_PREFIX = "whsec_"  # noqa: S105  (the name of a format)
# Standard Webhooks asks for 24 to 64 bytes.
_SECRET_BYTES = range(24, 65)


class SubscriptionConfig(BaseModel):
    """A subscription as it is configured. `secrets`: the current one first, then the previous.

    Secrets are written as Standard Webhooks has it: `whsec_` and 24 to 64 bytes in base64. Calls
    are signed with all of them, so that a receiver may change over whenever it likes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    business: str
    url: str
    types: tuple[EventKind, ...] = Field(default=UNLESS_SAID, min_length=1)
    secrets: tuple[str, ...] = Field(min_length=1, max_length=2)

    @field_validator("url")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        """Refuse what is no address, or would send events over the net in the clear."""
        parts = urlsplit(url)
        here = parts.hostname in {"127.0.0.1", "localhost", "::1"}
        if parts.scheme != "https" and not (parts.scheme == "http" and here):
            raise ValueError("an https:// address was expected")
        if not parts.hostname or parts.username or parts.fragment:
            raise ValueError("an address without credentials or fragment was expected")
        if _is_forbidden(parts.hostname):
            raise ValueError("an address that a subscriber can have was expected")
        return url

    @field_validator("secrets")
    @classmethod
    def _are_secrets(cls, secrets: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what signs badly; without quoting it."""
        for secret in secrets:
            try:
                plain = base64.b64decode(secret.removeprefix(SECRET_PREFIX) + "==")
            except binascii.Error:
                plain = b""
            if not secret.startswith(SECRET_PREFIX) or len(plain) not in _SECRET_BYTES:
                raise ValueError("whsec_ and 24 to 64 bytes in base64 were expected")
        return secrets


def _is_forbidden(host: str) -> bool:
    """Say whether an address, however it is written, is nobody's: link-local ones tell secrets."""
    address: IPv4Address | IPv6Address
    try:
        address = ip_address(inet_ntoa(inet_aton(host)))
    except (OSError, UnicodeError):
        try:
            address = ip_address(host)
        except ValueError:
            return False
    inner = getattr(address, "ipv4_mapped", None) or address
    return bool(inner.is_link_local or inner.is_unspecified or inner.is_multicast)


async def subscribe(db: AsyncConnection, *, config: SubscriptionConfig, keyring: Keyring) -> None:
    """Add a subscription, or change one: it is told what happens from now on.

    One that was stopped, since its receiver was gone, is active again. Raises NotFound for an
    unknown business.
    """
    business = await business_by_code(db, config.business)
    await db.execute(
        text("""
          INSERT INTO subscription (code, business_id, url, types, secrets)
          VALUES (:code, :business_id, :url, :types, :secrets)
          ON CONFLICT (code) DO UPDATE SET business_id = excluded.business_id, url = excluded.url,
            types = excluded.types, secrets = excluded.secrets, active = true,
            stopped_because = NULL"""),
        {
            "code": config.code,
            "business_id": business.business_id,
            "url": config.url,
            "types": [kind.value for kind in config.types],
            "secrets": seal(
                keyring, orjson.dumps(config.secrets), context=secrets_place(config.code)
            ),
        },
    )


def secrets_place(code: str) -> str:
    """Return the place that a subscription's secrets are sealed for."""
    return f"subscription|secrets|{code}"
