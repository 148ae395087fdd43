"""How far files of opening balances have been imported."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0013_opening"
down_revision = "0012_points_verbs"


def upgrade() -> None:
    """Install the table; its SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
