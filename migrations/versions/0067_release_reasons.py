"""Why a retention was released is kept."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0067_release_reasons"
down_revision = "0066_received"


def upgrade() -> None:
    """Give releases a reason; the SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
