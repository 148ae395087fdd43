"""Indexes for the orders and filters of lists."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0055_lists"
down_revision = "0054_tills_redeem"


def upgrade() -> None:
    """Index members by joining, activity and tier, denials by caller; the SQL is beside this."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
