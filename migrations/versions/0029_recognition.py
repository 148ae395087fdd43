"""Accounting: what is owed to members for points, recognised as revenue period by period."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0029_recognition"
down_revision = "0028_agreements"


def upgrade() -> None:
    """Sum entries by cohort, and make the tables; the SQL is frozen beside this file."""
    bind = op.get_bind()
    here = Path(__file__)
    execute_script(bind, here.with_name("0029_recognition_sums.sql").read_text())
    execute_script(bind, here.with_suffix(".sql").read_text())
