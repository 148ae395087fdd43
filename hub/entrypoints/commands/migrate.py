"""`hub migrate`: bring the database to the newest schema."""

import typer

from hub.config import settings
from hub.entrypoints import stack


def migrate() -> None:
    """Bring the database to the newest schema. Several at once wait for each other."""
    stack.migrate(settings().require_database_url())
    typer.echo("the database is at the newest revision")
