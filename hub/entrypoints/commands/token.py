"""`hub token`: an access token for trying things out, signed by this installation's own key."""

from dataclasses import replace
from typing import Annotated

import typer

from hub.clock import now
from hub.config import load_settings
from hub.crypto import tokens
from hub.crypto.keyring import load
from hub.crypto.scopes import fitting_scopes
from hub.crypto.tokens import Principal, Role
from hub.errors import Malformed


def token(
    role: Annotated[Role, typer.Option(help="what the caller is to the group")],
    member: Annotated[
        int | None,
        typer.Option(min=1, max=2**63 - 1, help="the member's number; for members"),
    ] = None,
    business: Annotated[str | None, typer.Option(help="its code; for businesses")] = None,
    subject: Annotated[str, typer.Option(help="who, in logs; for staff and finance")] = "developer",
    scope: Annotated[
        list[str] | None, typer.Option(help="what it is good for, again for each; unsaid: its role")
    ] = None,
    *,
    ttl: Annotated[
        int, typer.Option(min=1, max=tokens.LONGEST_TTL_SECONDS, help="lifetime in seconds")
    ] = tokens.DEFAULT_TTL_SECONDS,
) -> None:
    """Print an access token. Send it as `Authorization: Bearer …`."""
    principal = _principal(role, member, business, subject)
    if scope is not None:
        principal = replace(principal, scopes=fitting_scopes(scope, role=role, field="scope"))
    keyring = load(load_settings().keyring_path)
    typer.echo(tokens.issue(keyring, principal, now=now(), ttl_seconds=ttl))


def _principal(role: Role, member: int | None, business: str | None, subject: str) -> Principal:
    if (role is Role.MEMBER) != (member is not None):
        raise Malformed("--member goes with --role member, and with no other", field="member")
    if (role is Role.BUSINESS) != (business is not None):
        raise Malformed("--business goes with --role business, and with no other", field="business")
    if member is not None:
        return tokens.member(member)
    if business is not None:
        return tokens.business(business)
    return Principal(role=role, subject=subject)
