"""Carts at tills: quoted, reserved, redeemed and refunded as one."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0046_tills"
down_revision = "0045_vouchers"


def upgrade() -> None:
    """Install baskets and what a business allows; their SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
