"""Sweeps that read the lots of their own chunk only."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0015_sweeps"
down_revision = "0014_notices"


def upgrade() -> None:
    """Replace two functions; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
