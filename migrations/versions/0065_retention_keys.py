"""A retention that is asked for twice under one key is placed once."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0065_retention_keys"
down_revision = "0064_streams"


def upgrade() -> None:
    """Give retentions a key; the SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
