"""Whoever reads for a caller is let see that caller's rows alone, by the database itself."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0049_row_security"
down_revision = "0048_clients"


def upgrade() -> None:
    """Make the readers' roles and the tables' policies; the SQL is frozen beside this file.

    What is denied is kept from then on.
    """
    for name in ("row_security", "row_policies", "denials"):
        execute_script(op.get_bind(), (Path(__file__).parent / f"0049_{name}.sql").read_text())
