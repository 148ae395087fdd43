"""Doubts are decided by people; whose word on a member is shown is ranked, and may be pinned."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0021_review"
down_revision = "0020_merging"


def upgrade() -> None:
    """Install the tables and functions; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
