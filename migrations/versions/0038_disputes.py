"""Disputes by line, and what is due of a period once they are set aside."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0038_disputes"
down_revision = "0037_rates"


def upgrade() -> None:
    """Make the tables; the SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
