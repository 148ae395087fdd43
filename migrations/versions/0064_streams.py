"""How far the pulls of each connection are is shown to staff and admins."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0064_streams"
down_revision = "0062_webhooks"


def upgrade() -> None:
    """Let readers see streams; the SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
