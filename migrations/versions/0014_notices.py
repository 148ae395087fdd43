"""Notices of points that end, and more time for those of exempt tiers."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0014_notices"
down_revision = "0013_opening"


def upgrade() -> None:
    """Install the table and functions; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
