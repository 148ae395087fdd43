"""Giving: what plans, rewards, vouchers and campaigns give, and plans that are sold for others."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0053_giving"
down_revision = "0052_referrals"

_SCRIPTS = ("giving", "giving_rewards", "giving_vouchers", "giving_campaigns", "giving_sales")


def upgrade() -> None:
    """Run the scripts, which are frozen beside this file, in their order."""
    for name in _SCRIPTS:
        execute_script(op.get_bind(), Path(__file__).with_name(f"0053_{name}.sql").read_text())
