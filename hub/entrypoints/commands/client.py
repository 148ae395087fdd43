"""`hub client …`: systems that call for themselves, and their secrets."""

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hub.callers.create_client import create_client
from hub.callers.disable_client import disable_client
from hub.callers.queries import Client, clients
from hub.callers.rotate_secret import KEPT_DAYS, LONGEST_KEPT_DAYS, rotate_secret
from hub.clock import now
from hub.crypto.scopes import OF_ROLE, Role, written
from hub.entrypoints.commands.edge import committed, only_read

_Id = Annotated[str, typer.Argument(help="the client's id")]
_Actor = Annotated[str, typer.Option(help="who does this, for the record")]


def create(
    client_id: Annotated[str, typer.Argument(help="its id: small letters, digits, hyphens")],
    name: Annotated[str, typer.Option(help="what it is, for people")],
    role: Annotated[Role, typer.Option(help="what it is to the group")] = Role.BUSINESS,
    business: Annotated[str | None, typer.Option(help="whose it is; with --role business")] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="what it may do, once for each; unsaid: all of its role"),
    ] = None,
    *,
    actor: _Actor = "operator",
) -> None:
    """Create a client and print its secret, this once."""
    made = committed(
        lambda db: create_client(
            db,
            client_id=client_id,
            name=name,
            role=role,
            business=business,
            scopes=scope,
            actor=actor,
            now=now(),
        )
    )
    _say(f"created {client_id} with {written(made.client.scopes)}")
    typer.echo(made.secret)


def list_() -> None:
    """List clients, with how many secrets live and when one was last used."""
    table = Table("client", "name", "for", "scopes", "secrets", "last used", "state")
    for one in only_read(lambda db: clients(db, now=now())):
        used = [secret.last_used_at for secret in one.secrets if secret.last_used_at]
        table.add_row(
            one.client_id,
            one.name,
            one.business or one.role.value,
            "all" if one.scopes == OF_ROLE[one.role] else written(one.scopes),
            _secrets(one),
            _time(max(used, default=None)),
            "active" if one.disabled_at is None else f"disabled {_time(one.disabled_at)}",
        )
    Console().print(table)


def rotate(
    client_id: _Id,
    keep_days: Annotated[
        int,
        typer.Option(
            min=0,
            max=LONGEST_KEPT_DAYS,
            help="how long the old secrets still hold; 0 ends them and their tokens now",
        ),
    ] = KEPT_DAYS,
    actor: _Actor = "operator",
) -> None:
    """Give a client a new secret and print it, this once."""
    secret = committed(
        lambda db: rotate_secret(
            db, client_id=client_id, keep_days=keep_days, actor=actor, now=now()
        )
    )
    _say(f"the other secrets of {client_id} end within {keep_days} days")
    typer.echo(secret)


def disable(client_id: _Id, actor: _Actor = "operator") -> None:
    """End a client: no secret holds from now on, no token within seconds."""
    committed(lambda db: disable_client(db, client_id=client_id, actor=actor, now=now()))
    _say(f"disabled {client_id}")


def _secrets(one: Client) -> str:
    ends = [secret.expires_at for secret in one.secrets if secret.expires_at]
    return f"{len(one.secrets)}" + (f", one until {_time(min(ends))}" if ends else "")


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _say(words: str) -> None:
    # What is printed on stdout is the secret alone, to be piped to where it is kept.
    Console(stderr=True, highlight=False).print(words, markup=False)
