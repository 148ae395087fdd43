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
# wrote for each other, what a matcher made of people, and who of staff did or read what, is not the
# member's: that it was done or read, when and in which role, is told. So is why points, tiers and
# benefits moved: that is the ledger's. Numbers of other people and of their accounts are theirs.
STAFFS_PARTS = frozenset({"retentions"})
STAFFS_COLUMNS: Mapping[str, frozenset[str]] = {
    "reviews": frozenset({"note", "score", "evidence"}),
    "review_steps": frozenset({"note"}),
    "pins": frozenset({"reason"}),
    "consents": frozenset({"recorded_by"}),
    "adjustments": frozenset({"verdict"}),
    "reads": frozenset({"subject"}),
}
_OTHERS = frozenset({"low_member_id", "high_member_id"})
STAFFS_LINEAGE: Mapping[str, frozenset[str]] = {
    "births": frozenset(),
    "edges": _OTHERS | {"reason", "made_by", "revoked_by", "revoked_because", "score", "evidence"},
    "non_matches": _OTHERS | {"reason", "said_by", "lifted_by"},
}
OF_PEOPLE = frozenset({"merge", "split"})
"""Kinds of transactions whose reason is why people were joined or parted."""


def as_given(document: dict[str, Any], audience: Audience) -> dict[str, Any]:
    """Return the document of an export as its audience is given it: the member without staff's.

    Of adjustments it is given what was posted: what was proposed or refused moved nothing.
    """
    if audience is Audience.STAFF:
        return document
    given = {name: part for name, part in document.items() if name not in STAFFS_PARTS}
    given["adjustments"] = [row for row in given["adjustments"] if row["state"] == "posted"]
    for name, columns in STAFFS_COLUMNS.items():
        given[name] = _without(given[name], columns)
    given["lineage"] = {
        name: _without(given["lineage"][name], columns) for name, columns in STAFFS_LINEAGE.items()
    }
    given["transactions"] = [
        row | {"reason": None} if row["kind"] in OF_PEOPLE else row for row in given["transactions"]
    ]
    own = {row["account_id"] for row in given["accounts"]}
    for name in ("lots", "transactions", "entries"):
        given[name] = [
            row if row["account_id"] in own else row | {"account_id": None} for row in given[name]
        ]
    return given


def _without(rows: Sequence[dict[str, Any]], columns: frozenset[str]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]
