"""Who calls: clients with their secrets, members' sessions and passkeys, codes to sign in with."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0048_clients"
down_revision = "0047_rewards"


def upgrade() -> None:
    """Add the tables; their SQL is frozen beside this file."""
    here = Path(__file__)
    for name in ("0048_clients", "0048_sessions"):
        execute_script(op.get_bind(), here.with_name(f"{name}.sql").read_text())
