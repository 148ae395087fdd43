"""One round trip for what a batch of sightings changes."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0023_people_record"
down_revision = "0022_matching"


def upgrade() -> None:
    """Install the functions; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
