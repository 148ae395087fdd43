"""Property management systems."""
