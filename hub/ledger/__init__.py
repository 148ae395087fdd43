"""Entries, lots and balances. `post` is the only place that changes a balance."""
