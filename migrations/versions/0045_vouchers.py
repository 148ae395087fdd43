"""Vouchers: campaigns, codes, and what became of each."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0045_vouchers"
down_revision = "0044_memberships"


def upgrade() -> None:
    """Install tables and functions; their SQL is frozen beside this file."""
    for name in ("0045_vouchers.sql", "0045_voucher_functions.sql"):
        execute_script(op.get_bind(), Path(__file__).with_name(name).read_text())
