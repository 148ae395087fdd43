"""Journals: what a period means for the books of each legal entity."""
