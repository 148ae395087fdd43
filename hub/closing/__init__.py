"""Month's end: what must be in order before a period may be closed, and the close itself."""
