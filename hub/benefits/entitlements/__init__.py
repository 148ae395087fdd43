"""Quotas as ledgers: granted by several sources, held, used, given back, ended."""
