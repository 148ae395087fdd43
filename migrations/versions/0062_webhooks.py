"""What was told to subsidiaries is shown to them."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0062_webhooks"
down_revision = "0059_redeem"


def upgrade() -> None:
    """Let readers see subscriptions and what came of each call, and index the log."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
