"""What was delivered is found by when it came."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0066_received"
down_revision = "0065_retention_keys"


def upgrade() -> None:
    """Index the log of deliveries by time; the SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
