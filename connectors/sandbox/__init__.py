"""A server that plays the upstream systems, for demos, tests and load."""
