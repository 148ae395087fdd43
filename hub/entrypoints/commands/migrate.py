"""`hub migrate`: bring the database to the newest schema."""

from typing import Annotated

import typer

from hub.config import settings
from hub.crypto.keyring import ensure
from hub.entrypoints import stack


def migrate(
    keyring: Annotated[
        bool,
        typer.Option("--keyring", help="make a keyring if there is none, and see that it fits"),
    ] = False,
    superuser: Annotated[
        str | None,
        typer.Option(
            envvar="HUB_SUPERUSER_URL",
            help="first have this login make the role of DATABASE_URL and give it the database",
        ),
    ] = None,
) -> None:
    """Bring the database to the newest schema. Several at once wait for each other."""
    if superuser is not None:
        stack.make_owner(superuser, settings().require_database_url())
    if keyring:
        ensure(settings().keyring_path)
    stack.migrate(settings().require_database_url())
    if keyring:
        stack.match_keyring(settings())
    typer.echo("the database is at the newest revision")
