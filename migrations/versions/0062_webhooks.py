"""What was told to subsidiaries is shown to them, and suggestions say whose they are."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0062_webhooks"
down_revision = "0060_in_force"


def upgrade() -> None:
    """Let readers see what came of each call; index the log, and suggestions by book."""
    here = Path(__file__)
    for script in (here.with_suffix(".sql"), here.with_name("0062_suggestions.sql")):
        execute_script(op.get_bind(), script.read_text())
