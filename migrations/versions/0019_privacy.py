"""What a person may ask: consent, export, erasure; and who read what of them."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0019_privacy"
down_revision = "0017_verification"


def upgrade() -> None:
    """Install the tables and functions; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
