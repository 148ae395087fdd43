"""Secrets that a sender only repeats: in the URL it was given, or in an Authorization header.

Systems that sign nothing prove themselves so. Compare what is returned with `require_match`.
"""

import base64
import binascii
from urllib.parse import parse_qs, urlsplit

from hub.connector.plug import Inbound


def token_in_url(inbound: Inbound, parameter: str) -> str:
    """Return the query parameter of that name, or else the last part of the URL's path."""
    url = urlsplit(inbound.url)
    in_query = parse_qs(url.query).get(parameter)
    return in_query[0] if in_query else url.path.rsplit("/", 1)[-1]


def token_given(inbound: Inbound, parameter: str) -> str:
    """Return a bearer token, the password of basic authentication (RFC 6750, RFC 7617), or else
    what the URL holds. An Authorization header that cannot be read gives nothing.
    """
    scheme, _, given = inbound.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return token_in_url(inbound, parameter)
