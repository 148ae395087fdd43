"""What has ended is not revived by points that are given back."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0068_restore_after_end"
down_revision = "0067_release_reasons"


def upgrade() -> None:
    """Expire before restoring; the SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
