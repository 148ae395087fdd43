"""Identity in real time: shared identifiers, one-time codes, values kept as they were given."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0017_verification"
down_revision = "0015_sweeps"


def upgrade() -> None:
    """Install the tables and functions; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
