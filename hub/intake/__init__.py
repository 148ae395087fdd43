"""Deliveries become effects, exactly once."""
