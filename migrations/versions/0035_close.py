"""A close in steps that are kept, so that it is seen and goes on wherever it stopped."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0035_close"
down_revision = "0034_settlement_scale"


def upgrade() -> None:
    """Install the tables; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
