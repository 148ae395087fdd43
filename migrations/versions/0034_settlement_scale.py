"""A close costs what its period has: keys in the order of writing, days found by themselves."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0034_settlement_scale"
down_revision = "0033_at_issue"


def upgrade() -> None:
    """Change the indexes; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
