"""The batch match: its model, its runs, the pairs it found, and what changed since."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0022_matching"
down_revision = "0021_review"


def upgrade() -> None:
    """Install the tables and the trigger; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
