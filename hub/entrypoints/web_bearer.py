"""How a caller says who it is: `Authorization: Bearer` and an access token (RFC 6750)."""

from hub.crypto.tokens import Unauthenticated


def token_in(authorization: str) -> str:
    """Return the token that is sent so; raises Unauthenticated for anything else."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("send a token as `Authorization: Bearer`", reason="malformed")
    return token.strip()
