"""The lines of a period: a module per kind of what is due."""
