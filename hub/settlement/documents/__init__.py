"""Statements as documents: canonical JSON, and what is rendered from it."""
