"""Entries, lots, balances and holds."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0003_ledger"
down_revision = "0002_members"


def upgrade() -> None:
    """Install the tables; their SQL is frozen beside this file."""
    here = Path(__file__)
    for name in ("0003_ledger.sql", "0003_ledger_functions.sql"):
        execute_script(op.get_bind(), here.with_name(name).read_text())
