"""Units of points, and the policies that say how points begin, end and move."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0009_policies"
down_revision = "0008_ledger_depth"


def upgrade() -> None:
    """Install the tables; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
