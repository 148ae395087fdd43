"""Who moves a settlement period on, what was looked at before, and what was waived."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0027_periods"
down_revision = "0026_room_links"


def upgrade() -> None:
    """Install the tables; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
