"""Journals: a chart of accounts per legal entity, and what each period posts to it, once."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0031_journals"
down_revision = "0030_documents"


def upgrade() -> None:
    """Make the tables; the SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
