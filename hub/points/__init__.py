"""The verbs on points."""
