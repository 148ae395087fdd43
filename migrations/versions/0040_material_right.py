"""A policy says at which discount goods are sold, and from when on points are a material right."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0040_material_right"
down_revision = "0039_limits"


def upgrade() -> None:
    """Widen the policy; its SQL is frozen beside this file."""
    execute_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
