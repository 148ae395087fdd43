"""Paid membership: plans, the facts of who paid and cancelled what, and the terms they come to."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0044_memberships"
down_revision = "0043_entitlements"


def upgrade() -> None:
    """Install the tables; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
