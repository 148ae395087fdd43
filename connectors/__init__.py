"""Dialects: one module for each system the hub speaks to. They see only the plug."""
