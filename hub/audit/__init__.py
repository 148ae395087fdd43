"""Who was shown what of whom: a chain of rows that nobody can rewrite without the audit key."""
