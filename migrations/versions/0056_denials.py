"""Payees' accounts are read by the two businesses of a payment, and denials are sealed."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0056_denials"
down_revision = "0051_requalify"


def upgrade() -> None:
    """Let each side of a payment read how the other's account ends; the SQL is beside this file."""
    here = Path(__file__)
    for name in ("0056_payment_accounts.sql", "0056_denials.sql"):
        execute_script(op.get_bind(), here.with_name(name).read_text())
