"""Referrals: who brought whom, when it counts, and what both are given."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0052_referrals"
down_revision = "0051_requalify"


def upgrade() -> None:
    """Create referrals and their terms; the SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
