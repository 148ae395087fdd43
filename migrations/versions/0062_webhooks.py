"""What subsidiaries told and were told is shown to them; suggestions say whose they are."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0062_webhooks"
down_revision = "0060_in_force"


def upgrade() -> None:
    """Let readers see what came of each call; index the log, and suggestions by book."""
    here = Path(__file__)
    for part in ("webhooks", "suggestions", "deliveries"):
        execute_script(op.get_bind(), here.with_name(f"0062_{part}.sql").read_text())
