"""Checks that were charged to rooms, and the folios that name them."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0026_room_links"
down_revision = "0025_egress"


def upgrade() -> None:
    """Install the tables and functions; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
