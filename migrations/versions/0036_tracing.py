"""Find what a number in the books came from, without an index that every posting pays for."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0036_tracing"
down_revision = "0035_close"


def upgrade() -> None:
    """Install the indexes; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
