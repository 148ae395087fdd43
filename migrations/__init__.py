"""Alembic revisions; their SQL is frozen beside them."""
