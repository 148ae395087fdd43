"""A till's redemption is one statement; whom an identifier leads to is found without planning."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0060_redeem"
down_revision = "0058_filters"


def upgrade() -> None:
    """Find people value by value, and redeem at a till in one round trip."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
