"""A tier's end and the next one's beginning cost less to write."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0051_requalify"
down_revision = "0049_row_security"


def upgrade() -> None:
    """Compare rows as rows, look up once what was looked up twice; the SQL is beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
