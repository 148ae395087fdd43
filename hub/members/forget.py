"""Forget: destroy what tells who a member is. Its accounts and links stay, and name nobody."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.family import Family
from hub.members.review.settle_reviews import settle_reviews

_ERASED = text("""
UPDATE member SET erased_at = :now WHERE member_id = ANY (CAST(:members AS bigint[]))
""")
# One statement for each table that tells of an account's person. Rows of others are left as they
# are, but for reviews: they no longer name the member as somebody whom an account could be.
_FORGET = tuple(
    map(
        text,
        (
            "DELETE FROM account_key WHERE account_id = ANY (CAST(:accounts AS bigint[]))",
            "DELETE FROM account_profile WHERE account_id = ANY (CAST(:accounts AS bigint[]))",
            "DELETE FROM birthday_index WHERE account_id = ANY (CAST(:accounts AS bigint[]))",
            "DELETE FROM pin WHERE account_id = ANY (CAST(:accounts AS bigint[]))",
            """DELETE FROM identifier_claim WHERE account_id = ANY (CAST(:accounts AS bigint[]))
                 OR member_id = ANY (CAST(:members AS bigint[]))""",
            "DELETE FROM verification WHERE member_id = ANY (CAST(:members AS bigint[]))",
            """DELETE FROM verification v USING account a
               WHERE a.account_id = ANY (CAST(:accounts AS bigint[]))
                 AND v.business_id = a.business_id AND v.external_id = a.external_id""",
            """DELETE FROM review_item WHERE account_id = ANY (CAST(:accounts AS bigint[]))
                 OR (candidates && CAST(:members AS bigint[])
                   AND (candidates <@ CAST(:members AS bigint[])
                     OR chosen = ANY (CAST(:members AS bigint[]))))""",
            """UPDATE review_item SET candidates = array(SELECT c FROM unnest(candidates) AS c
                   WHERE c <> ALL (CAST(:members AS bigint[]))),
                 evidence = evidence - CAST(CAST(:members AS bigint[]) AS text[])
               WHERE candidates && CAST(:members AS bigint[])""",
            "DELETE FROM match_feature WHERE account_id = ANY (CAST(:accounts AS bigint[]))",
            "DELETE FROM match_change WHERE account_id = ANY (CAST(:accounts AS bigint[]))",
            """DELETE FROM match_pair WHERE low_account_id = ANY (CAST(:accounts AS bigint[]))
                 OR high_account_id = ANY (CAST(:accounts AS bigint[]))""",
            "DELETE FROM match_step WHERE account_ids && CAST(:accounts AS bigint[])",
        ),
    )
)


async def forget(db: AsyncConnection, *, family: Family, actor: str, now: datetime) -> None:
    """Destroy keys, profiles, pins, claims, doubts and matches of a member; lock it first.

    What the keys sealed is unreadable from then on, in backups of the database too. An account
    without a key is known to be erased: resolution records nothing on it. Reviews of others are
    settled where nobody else is in doubt.
    """
    births = list(family.member_ids)
    facts = {"members": births, "accounts": family.account_ids}
    await db.execute(_ERASED, {"members": births, "now": now})
    await settle_reviews(db, member_ids=births, actor=actor, now=now, reason="erased")
    for statement in _FORGET:
        wanted = {name: value for name, value in facts.items() if f":{name}" in statement.text}
        await db.execute(statement, wanted)
