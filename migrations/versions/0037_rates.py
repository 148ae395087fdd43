"""Prices of redemptions by award, category and occupancy."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0037_rates"
down_revision = "0036_tracing"


def upgrade() -> None:
    """Install the tables; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
