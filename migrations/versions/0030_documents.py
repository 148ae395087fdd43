"""Statements as signed documents; payment accounts and payments."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0030_documents"
down_revision = "0029_recognition"


def upgrade() -> None:
    """Install the tables and functions; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
