"""Whoever reads for a caller is let see that caller's rows alone, by the database itself."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0049_row_security"
down_revision = "0047_rewards"


def upgrade() -> None:
    """Make the readers' roles and the tables' policies; the SQL is frozen beside this file."""
    for name in ("0049_row_security.sql", "0049_row_policies.sql"):
        execute_script(op.get_bind(), (Path(__file__).parent / name).read_text())
