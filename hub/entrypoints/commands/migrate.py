"""`hub migrate`: bring the database to the newest schema."""

from typing import Annotated

import typer

from hub.config import settings
from hub.crypto.keyring import ensure
from hub.entrypoints import stack


def migrate(
    keyring: Annotated[
        bool, typer.Option("--keyring", help="first make the keyring, if there is none yet")
    ] = False,
) -> None:
    """Bring the database to the newest schema. Several at once wait for each other."""
    if keyring:
        ensure(settings().keyring_path)
    stack.migrate(settings().require_database_url())
    typer.echo("the database is at the newest revision")
