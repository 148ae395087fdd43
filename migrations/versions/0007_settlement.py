"""Settlement periods, what is owed in them, and what was stated of it."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0007_settlement"
down_revision = "0006_benefits"


def upgrade() -> None:
    """Install the tables; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
