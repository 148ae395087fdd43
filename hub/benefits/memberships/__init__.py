"""Paid membership: plans, the facts of who paid what, and the terms that they come to."""
