"""What the lists of whoever runs the hub are filtered and ordered by."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0058_filters"
down_revision = "0057_act_as"


def upgrade() -> None:
    """Index breaks, suggestions, runs, disputes, corrections, denials and reviews."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
