"""Who reads is said within the statement or transaction that reads, and ends with it."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0057_act_as"
down_revision = "0056_denials"


def upgrade() -> None:
    """Say callers for a transaction; find accounts' policies a shorter way."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
