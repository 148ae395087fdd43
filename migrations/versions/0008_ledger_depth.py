"""Units, pending points, shortfalls, moves between members, entries by month, the daily rollup."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0008_ledger_depth"
down_revision = "0007_settlement"


def upgrade() -> None:
    """Install tables and functions; their SQL is frozen beside this file."""
    here = Path(__file__)
    for name in ("0008_ledger_depth.sql", "0008_ledger_functions.sql"):
        execute_script(op.get_bind(), here.with_name(name).read_text())
