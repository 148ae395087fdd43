"""Processes may remember how the programme is set up: its edition tells whether it changed."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0060_in_force"
down_revision = "0059_redeem"


def upgrade() -> None:
    """Give the set-up a new edition with whatever changes it."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
