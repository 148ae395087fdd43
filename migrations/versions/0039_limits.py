"""Caps, credit limits and prefunded agreements."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0039_limits"
down_revision = "0038_disputes"


def upgrade() -> None:
    """Install the columns and tables; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
