"""Baskets' keys, a voucher redeemed in one round trip, and what tiers give by and by."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0054_tills_redeem"
down_revision = "0052_referrals"


def upgrade() -> None:
    """Mark baskets that have keys of their own, add the functions; the SQL is beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
