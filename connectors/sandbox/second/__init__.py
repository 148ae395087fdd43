"""The second world: a few days of one business on each system that the sample group does not have.

One plot (`plot`) is told anew by each system in its own form, a module each. Tests and load play
it; the sample does not.
"""
