"""Referrals: who brought whom, and when it counts; subsidiaries are told of benefits."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0052_referrals"
down_revision = "0051_requalify"


def upgrade() -> None:
    """Create referrals and their terms, and what tells of benefits; the SQL is beside this file."""
    here = Path(__file__)
    for script in (here.with_suffix(".sql"), here.with_name("0052_benefit_events.sql")):
        execute_script(op.get_bind(), script.read_text())
