"""Tills' baskets have one space of keys; a voucher is redeemed in one round trip."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0054_tills_redeem"
down_revision = "0052_referrals"


def upgrade() -> None:
    """Mark what was kept under keys of its own; the SQL is beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
