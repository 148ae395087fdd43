"""Match in batch: which rows of a table, which members, are one person?

`resolve_frame` answers for a table, without a database. What it is made of, in order of use:
`columns` (what a column says), `cells` (one spelling per value), `table` (values as numbers),
`blocking` (which pairs to compare), `comparing` (levels of agreement), `training` (what they are
worth here), `scoring` (weights and vetoes), `households` (families or slips), `clustering`
(people).
"""

from hub.members.matching.resolve_frame import resolve_frame

__all__ = ["resolve_frame"]
