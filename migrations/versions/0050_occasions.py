"""Occasions: what is given on birthdays and anniversaries, and by what birthdays are found."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0050_occasions"
down_revision = "0049_row_security"


def upgrade() -> None:
    """Create the occasions, their grants and the index; the SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
