"""Quotas are ledgers: granted by several sources, held, used, given back, ended."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0043_entitlements"
down_revision = "0041_ladders"


def upgrade() -> None:
    """Install the ledger of quotas and its functions; their SQL is frozen beside this file."""
    here = Path(__file__)
    for name in ("0043_entitlements", "0043_entitlement_functions"):
        execute_script(op.get_bind(), here.with_name(f"{name}.sql").read_text())
