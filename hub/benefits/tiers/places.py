"""The places that members hold on ladders now: what else is made of them shares one read."""

from typing import Final

from hub.db.relation import Relation

PLACES: Final = Relation(
    """
SELECT m.member_id, m.created_at, h.tier_id, h.since
FROM member m LEFT JOIN member_tier h ON h.member_id = m.member_id AND h.until IS NULL
WHERE m.member_id = ANY(CAST(:member_ids AS bigint[]))
""",
    ("member_id", "created_at", "tier_id", "since"),
)
"""One row for each place of a member; with nulls for who has none."""
