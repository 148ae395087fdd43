"""Benefits that are granted to many members at once, and what came of it."""
