"""What a connection to OPERA Cloud is configured with: the hotel's own codes above all."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import Field, SecretStr

from hub.connector import DialectConfig, LineKind, TenderKind

K = TypeVar("K")


class OhipConfig(DialectConfig):
    """`base_url` is the gateway, which `client_id`, `client_secret`, `enterprise_id` and `app_key`
    open.

    `hotels` are the hotel codes of this business. `external_system` is the queue that OPERA fills
    for the hub, `chain_code` the chain whose event stream the hub listens to; either will do. A
    business event may also be pushed: its secret is the value of `token_parameter` in the URL, the
    last part of the URL's path, or a bearer token.

    Every hotel numbers its transaction codes itself. `line_kinds` and `payment_kinds` say what they
    are: keys are a code (`1000`), a range of codes (`1000-1999`) or a transaction group
    (`group:ROOM`), the most exact wins. `mirrored` are codes of what another till of the group has
    sold and tells itself. `membership_types` are those of the group's own programme.
    """

    client_id: str = ""
    client_secret: SecretStr | None = None
    enterprise_id: str = ""
    app_key: SecretStr | None = None
    scope: str = "urn:opc:hgbu:ws:__myscopes__"
    hotels: Sequence[str] = ()
    external_system: str = ""
    chain_code: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,20}$")
    token_parameter: str = "token"  # noqa: S105  (the parameter's name)
    line_kinds: Mapping[str, LineKind] = {}
    payment_kinds: Mapping[str, TenderKind] = {}
    mirrored: frozenset[str] = frozenset()
    membership_types: frozenset[str] = frozenset()


def kind_of(kinds: Mapping[str, K], code: str, group: str | None) -> K | None:
    """Return what `kinds` says of a transaction code: itself, its group, or a range around it."""
    for key in (code, f"group:{group}"):
        if key in kinds:
            return kinds[key]
    if code.isascii() and code.isdigit():
        for key, kind in kinds.items():
            first, dash, last = key.partition("-")
            if dash and first.isdigit() and last.isdigit() and int(first) <= int(code) <= int(last):
                return kind
    return None
