"""Payees' accounts are read by both sides, denials are sealed, codes are counted by who asks."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0056_denials"
down_revision = "0055_lists"


def upgrade() -> None:
    """Change policies, seals and codes; the SQL is beside this file."""
    here = Path(__file__)
    for name in ("0056_policies.sql", "0056_denials.sql", "0056_codes.sql"):
        execute_script(op.get_bind(), here.with_name(name).read_text())
