"""${message}"""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
