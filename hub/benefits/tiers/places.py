"""The places that members hold on ladders now: what else is made of them shares one read."""

from typing import Final

from hub.db.relation import Relation

PLACES: Final = Relation(
    """
SELECT h.member_id, h.tier_id, h.since FROM member_tier h
WHERE h.member_id = ANY(CAST(:member_ids AS bigint[])) AND h.until IS NULL
""",
    ("member_id", "tier_id", "since"),
)
