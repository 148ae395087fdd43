"""Settlement lines between any two businesses, of several kinds, with tax."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0028_agreements"
down_revision = "0027_periods"


def upgrade() -> None:
    """Widen the tables; the SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
