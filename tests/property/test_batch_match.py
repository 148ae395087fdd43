"""A run over what changed comes to what a run over all would, and nobody's turn decides who is who.

Few values for many accounts: names, birthdays and identifiers meet in every combination, families
share phones, records are duplicated, and people are told wrong.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.batch.plan_matches import Kind
from hub.members.matching.keys import PASSES
from tests.property.test_resolve_order import undone
from tests.support.businesses import open_businesses
from tests.support.matching import NOW, match, people, see

ON_A_REAL_DATABASE = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    # Shrinking runs for minutes: a story is short enough to be read as it is.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
NAMES = ("Li Leiming", "Han Meimei", "Wolfgang Petersen", "李雷", None)
BIRTHDAYS = ("1988-04-17", "1991-11-02", "1988-04-18", None)
PHONES = ("+8613910203040", "+8613910203041", None)
EMAILS = ("lei.ming@example.com", "hmm@example.org", None)


class Visit(NamedTuple):
    """An account as a business shows it once."""

    business_id: int
    record: int
    name: str | None
    birthday: str | None
    phone: str | None
    email: str | None
    phone_verified: bool
    email_verified: bool

    @property
    def external_id(self) -> str:
        return f"{self.business_id}-{self.record}"

    @property
    def said(self) -> dict[str, str]:
        phone = "phone" if self.phone_verified else "phone_said"
        email = "email" if self.email_verified else "email_said"
        said = {"name": self.name, "birthday": self.birthday, phone: self.phone, email: self.email}
        return {key: value for key, value in said.items() if value is not None}


visits = st.builds(
    Visit,
    st.integers(1, 4),
    st.integers(1, 2),
    st.sampled_from(NAMES),
    st.sampled_from(BIRTHDAYS),
    st.sampled_from(PHONES),
    st.sampled_from(EMAILS),
    st.booleans(),
    st.booleans(),
)
stories = st.lists(st.lists(visits, min_size=1, max_size=6), min_size=1, max_size=3)


async def live(db: AsyncConnection, story: Sequence[Visit], minute: int) -> None:
    for place, visit in enumerate(story):
        await see(db, visit.business_id, visit.external_id, minute=minute + place, **visit.said)


async def found(db: AsyncConnection) -> list[Any]:
    """Everything that a match comes to, told by the businesses' own ids."""
    pairs = await db.execute(
        text("""
          SELECT a.external_id AS one, b.external_id AS other, p.band, p.bits, p.proposed
          FROM match_pair p JOIN account a ON a.account_id = p.low_account_id
          JOIN account b ON b.account_id = p.high_account_id ORDER BY 1, 2""")
    )
    doubts = await db.execute(
        text("""
          SELECT a.external_id, r.reason, r.state FROM review_item r JOIN account a
            USING (account_id) ORDER BY 1, 2, 3""")
    )
    return [await people(db), [tuple(row) for row in pairs], [tuple(row) for row in doubts]]


async def told_in(
    db: AsyncConnection, kind: Kind, chapters: Sequence[Sequence[Visit]], limit: int
) -> Any:
    async with undone(db):
        await open_businesses(db, ["CN"] * 4)
        await match(db, Kind.FULL)
        # As in a large hub: what more accounts than that share is too common to be looked at.
        await db.execute(
            text("""
              UPDATE match_model SET weights = jsonb_set(weights, '{limits}',
                to_jsonb(array_fill(CAST(:limit AS integer), ARRAY[CAST(:passes AS integer)])))"""),
            {"limit": limit, "passes": len(PASSES)},
        )
        for number, chapter in enumerate(chapters):
            await live(db, chapter, number * 100)
            await match(db, kind, now=NOW + timedelta(days=number), learn=False)
        return await found(db)


@ON_A_REAL_DATABASE
@given(chapters=stories, limit=st.sampled_from([2, 3, 400]))
async def test_a_run_over_what_changed_comes_to_what_a_run_over_all_does(
    db: AsyncConnection, chapters: list[list[Visit]], limit: int
) -> None:
    over_all = await told_in(db, Kind.FULL, chapters, limit)
    over_changes = await told_in(db, Kind.INCREMENTAL, chapters, limit)
    assert over_changes == over_all


@ON_A_REAL_DATABASE
@given(st.data())
async def test_people_are_the_same_whoever_came_first(
    db: AsyncConnection, data: st.DataObject
) -> None:
    """Each account is shown once: what it says does not depend on when it came.

    What rests on an identifier that turns out to be many people's is put to review, and stays.
    """
    story = data.draw(st.lists(visits, max_size=7, unique_by=lambda visit: visit.external_id))
    other = data.draw(st.permutations(story))
    orders = []
    for order in (story, other):
        async with undone(db):
            await open_businesses(db, ["CN"] * 4)
            await live(db, order, 0)
            assume(not await db.scalar(text("SELECT count(*) FROM shared_identifier")))
            await match(db)
            orders.append(await people(db))
    assert orders[0] == orders[1]
