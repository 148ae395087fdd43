"""What is pulled: streams with their cursors, and deliveries that say how they came."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0024_pulls"
down_revision = "0023_people_record"


def upgrade() -> None:
    """Install the table and columns; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
