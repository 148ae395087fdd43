"""Merging and splitting: links between birth members that can be revoked, and their points."""

from pathlib import Path

from alembic import op

from hub.db.migrate import execute_script

revision = "0020_merging"
down_revision = "0019_privacy"


def upgrade() -> None:
    """Install tables and functions; their SQL is frozen beside this file."""
    folder = Path(__file__).parent
    for name in ("0020_merging", "0020_merging_ledger"):
        execute_script(op.get_bind(), (folder / f"{name}.sql").read_text())
