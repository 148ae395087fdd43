"""Tiers, what they entitle to, and each use of it."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0006_benefits"
down_revision = "0005_messages"


def upgrade() -> None:
    """Install the tables; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
