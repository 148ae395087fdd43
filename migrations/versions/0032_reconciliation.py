"""Partners' own books and bank statements beside the hub's lines: what agrees and what does not."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0032_reconciliation"
down_revision = "0031_journals"


def upgrade() -> None:
    """Install the tables; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
