"""Rewards: a catalogue in points, stock that is never oversold, orders and what became of them."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0047_rewards"
down_revision = "0046_tills"


def upgrade() -> None:
    """Create the catalogue, its stock and its orders; the SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
