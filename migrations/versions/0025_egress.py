"""What the hub tells subsidiaries: subscriptions, events and their deliveries."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0025_egress"
down_revision = "0024_pulls"


def upgrade() -> None:
    """Install the tables and functions; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
