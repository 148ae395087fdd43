"""Audience: for whom an export is, and what of it is not for the member itself. Pure."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any


class Audience(Enum):
    """Who is given the document."""

    STAFF = "staff"
    """Whoever runs the hub: all that is held."""
    MEMBER = "member"
    """The member itself."""


# That a member's data must be kept may tell it of a claim or an inquiry before its time. What staff
# wrote for each other, and who of them did or read what, is about staff: that it was done or read,
# when and in which role, is told. So is why points, tiers and benefits moved: that is the ledger's.
STAFFS_PARTS = frozenset({"retentions"})
STAFFS_COLUMNS: Mapping[str, frozenset[str]] = {
    "reviews": frozenset({"note"}),
    "review_steps": frozenset({"note"}),
    "pins": frozenset({"reason"}),
    "consents": frozenset({"recorded_by"}),
    "reads": frozenset({"subject"}),
}
STAFFS_LINEAGE: Mapping[str, frozenset[str]] = {
    "births": frozenset(),
    "edges": frozenset({"reason", "made_by", "revoked_by", "revoked_because"}),
    "non_matches": frozenset({"reason", "said_by", "lifted_by"}),
}


def as_given(document: dict[str, Any], audience: Audience) -> dict[str, Any]:
    """Return the document of an export as its audience is given it: the member without staff's."""
    if audience is Audience.STAFF:
        return document
    given = {name: part for name, part in document.items() if name not in STAFFS_PARTS}
    for name, columns in STAFFS_COLUMNS.items():
        given[name] = _without(given[name], columns)
    given["lineage"] = {
        name: _without(given["lineage"][name], columns) for name, columns in STAFFS_LINEAGE.items()
    }
    return given


def _without(rows: Sequence[dict[str, Any]], columns: frozenset[str]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]
