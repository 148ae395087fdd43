"""Family pools and their members, and adjustments that a second person approves."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0012_points_verbs"
down_revision = "0011_paid_in_points"


def upgrade() -> None:
    """Install the tables; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
