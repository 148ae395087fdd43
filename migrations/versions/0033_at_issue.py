"""Points sold at issue: by the programme company, which owes them from then on."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0033_at_issue"
down_revision = "0032_reconciliation"


def upgrade() -> None:
    """Install the tables; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
