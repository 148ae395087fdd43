"""Does the order in which people are seen matter? Where it does not, and where it honestly does.

Resolution never merges two members that exist. So when every sighting of a person shares one
verified identifier with all others, any order yields the same partition of accounts into members.
When two of a person's identifiers are first seen apart and only later together, the order decides
what is linked at once: but whatever the order, nobody is linked to another person, and what was
not linked is put to review, so that links and reviews together are the whole truth.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Hint, HintType
from hub.crypto.keyring import Keyring
from hub.members.resolve import Sighting, resolve
from tests.support.businesses import open_businesses

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring.generate()
KINDS = ("phone", "email", "loyalty_id", "openid")
ON_A_REAL_DATABASE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Visit(NamedTuple):
    """A person (of a few) at a business, showing some kinds of identifier of their own."""

    person: int
    business_id: int
    shown: frozenset[str]

    @property
    def account(self) -> tuple[int, str]:
        return self.business_id, f"record-{self.person}"


Partition = frozenset[frozenset[tuple[int, str]]]


def visits(*, always: Iterable[str]) -> st.SearchStrategy[list[Visit]]:
    shown = st.frozensets(st.sampled_from(KINDS), min_size=1).map(lambda some: some | {*always})
    visit = st.builds(Visit, st.integers(0, 2), st.integers(1, 4), shown)
    return st.lists(visit, min_size=1, max_size=14)


def sighting(visit: Visit, at: int) -> Sighting:
    p = visit.person
    values = {
        "phone": f"+86139102030{p:02}",
        "email": f"p{p}@example.com",
        "loyalty_id": f"GOLD-{p}",
        "openid": f"open-{p}",
    }
    return Sighting(
        business_id=visit.business_id,
        external_id=visit.account[1],
        hints=tuple(
            Hint(type=HintType(kind), value=values[kind], verified=True) for kind in visit.shown
        ),
        seen_at=NOW + timedelta(minutes=at),
    )


@asynccontextmanager
async def undone(db: AsyncConnection) -> AsyncIterator[None]:
    """Whatever an example does is taken back, whether it held or not."""
    savepoint = await db.begin_nested()
    try:
        yield
    finally:
        await savepoint.rollback()


async def live_through(db: AsyncConnection, batches: Sequence[Sequence[Visit]]) -> Partition:
    """See people batch by batch; return which accounts are one member's."""
    await open_businesses(db, ["CN"] * 4)
    minute = 0
    for batch in batches:
        people = [sighting(visit, minute := minute + 1) for visit in batch]
        await resolve(db, people=people, now=NOW, keyring=KEYRING)
    linked = await db.execute(
        text("""
        SELECT l.member_id, a.business_id, a.external_id
        FROM account a JOIN account_link l USING (account_id)
        """)
    )
    return grouped((row.member_id, (row.business_id, row.external_id)) for row in linked)


def grouped(pairs: Iterable[tuple[object, tuple[int, str]]]) -> Partition:
    groups: dict[object, set[tuple[int, str]]] = {}
    for key, account in pairs:
        groups.setdefault(key, set()).add(account)
    return frozenset(map(frozenset, groups.values()))


def united(edges: Iterable[Iterable[object]]) -> list[set[object]]:
    """The connected components of what the edges connect."""
    components: list[set[object]] = []
    for edge in edges:
        met = set(edge)
        apart = [c for c in components if not c & met]
        components = [*apart, met.union(*(c for c in components if c & met))]
    return components


def truth(story: Iterable[Visit]) -> Partition:
    """Accounts that show a common identifier, directly or by way of others, are one person's."""
    components = united([v.account, *((v.person, kind) for kind in v.shown)] for v in story)
    return only_accounts(components)


def only_accounts(components: Iterable[set[object]]) -> Partition:
    return frozenset(
        frozenset(
            x for x in c if isinstance(x, tuple) and isinstance(x[1], str) and x[1][:3] == "rec"
        )
        for c in components
    )


@ON_A_REAL_DATABASE
@given(story=visits(always=["phone"]).flatmap(st.permutations), cut=st.integers(0, 14))
async def test_with_one_identifier_in_common_no_order_or_batching_matters(
    db: AsyncConnection, story: list[Visit], cut: int
) -> None:
    async with undone(db):
        found = await live_through(db, [story[:cut], *([visit] for visit in story[cut:])])
        assert found == grouped((visit.person, visit.account) for visit in story)
        assert await db.scalar(text("SELECT count(*) FROM review_item")) == 0


@ON_A_REAL_DATABASE
@given(story=visits(always=[]), cut=st.integers(0, 14))
async def test_nobody_is_linked_to_another_and_links_with_reviews_are_the_whole_truth(
    db: AsyncConnection, story: list[Visit], cut: int
) -> None:
    async with undone(db):
        found = await live_through(db, [story[:cut], *([visit] for visit in story[cut:])])
        assert all(len({external_id for _, external_id in one}) == 1 for one in found)
        reviewed = await db.execute(
            text("""
            SELECT a.business_id, a.external_id, l.member_id FROM account a
            JOIN account_link l USING (account_id)
            UNION ALL
            SELECT a.business_id, a.external_id, unnest(r.candidates) FROM review_item r
            JOIN account a USING (account_id)
            """)
        )
        edges = [((row.business_id, row.external_id), row.member_id) for row in reviewed]
        assert only_accounts(united(edges)) == truth(story)
