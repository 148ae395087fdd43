"""Several ladders, what else than points counts for them, and until when a tier is held."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0041_ladders"
down_revision = "0040_material_right"


def upgrade() -> None:
    """Widen tiers; the SQL is frozen beside this file."""
    here = Path(__file__)
    for name in ("ladders", "ladders_activity", "ladders_notices", "ladders_told"):
        execute_script(op.get_bind(), here.with_name(f"0041_{name}.sql").read_text())
