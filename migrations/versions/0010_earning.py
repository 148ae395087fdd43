"""Earning rules to full depth, exchange rates, daily caps, and the steps of each earn."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0010_earning"
down_revision = "0009_policies"


def upgrade() -> None:
    """Install the tables; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
