"""What staff mend of lots and debts: more time, points given back, receivables closed."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, HubError, Malformed, NotFound, Rejected
from hub.ledger.codes import Outcome, ShortfallMode
from hub.ledger.post import Answer, post_clawback
from hub.ledger.queries import balances, open_lots
from hub.ledger.verify import verify
from hub.points.activate import activate
from hub.points.expire import expire
from hub.points.extend import extend
from hub.points.recover import Recovery, recover
from hub.points.redeem import redeem
from hub.points.reinstate import reinstate
from tests.support.ledger import NOON, TODAY, give
from tests.support.people import HAN, LI, a_group

ENDS = date(2026, 12, 31)
MORE = date(2027, 6, 30)
YESTERDAY = TODAY - timedelta(days=1)
WHO: dict[str, Any] = {
    "business_id": 1, "member_id": LI, "idempotency_key": "m", "business_date": TODAY, "now": NOON,
    "reason": "the shop was closed",
}  # fmt: skip
THEN: dict[str, Any] = {**WHO, "occurred_at": NOON}
Verb = Callable[..., Awaitable[Answer]]


@pytest.fixture
async def group(db: AsyncConnection) -> AsyncConnection:
    await a_group(db)
    return db


async def ends(db: AsyncConnection) -> list[date | None]:
    return [lot.expires_on for lot in (await open_lots(db, member_ids=[LI], limit=9))[LI]]


async def posted(db: AsyncConnection) -> int:
    return (await balances(db, member_ids=[LI], today=TODAY, now=NOON))[LI].posted


async def receivable(db: AsyncConnection) -> int:
    """A clawback that left 70 points to be paid for; returns its number."""
    sale = await give(db, LI, 100)
    spending = {name: value for name, value in THEN.items() if name != "reason"}
    await redeem(db, **{**spending, "idempotency_key": "r"}, today=TODAY, points=70)
    clawed = await post_clawback(
        db, **{**spending, "idempotency_key": "c"}, account_id=71, earn_tx=sale, points=100,
        qualifying=0, mode=ShortfallMode.RECEIVABLE,
    )  # fmt: skip
    return clawed.tx_id


async def test_a_lot_is_extended_once_per_request(group: AsyncConnection) -> None:
    lot = await give(group, LI, 100, expires_on=ENDS)
    await give(group, LI, 50, expires_on=ENDS)
    asked = {**WHO, "today": TODAY, "lot_id": lot, "until": MORE}
    done = await extend(group, **asked)
    assert (done.outcome, done.points) == (Outcome.POSTED, 100)
    assert (await extend(group, **asked)).replayed
    assert await ends(group) == [ENDS, MORE]
    rest = {**asked, "lot_id": None, "idempotency_key": "all"}
    assert (await extend(group, **rest)).points == 50
    assert await ends(group) == [MORE, MORE]
    for lot_id, outcome in ((lot, Outcome.NOT_LATER), (1, Outcome.LOT_UNKNOWN)):
        no = await extend(group, **{**asked, "lot_id": lot_id, "idempotency_key": f"no-{lot_id}"})
        assert no.outcome is outcome
    assert await verify(group) == []


async def test_a_lot_ends_a_year_later_at_most_however_often_it_is_extended(
    group: AsyncConnection,
) -> None:
    lot = await give(group, LI, 100, expires_on=ENDS)
    asked = {**WHO, "today": TODAY, "lot_id": lot}
    await extend(group, **asked, until=MORE)
    with pytest.raises(Rejected) as said:
        await extend(group, **{**asked, "idempotency_key": "b"}, until=date(2028, 1, 1))
    assert said.value.facts == {"field": "until", "latest": "2027-12-31"}
    last = await extend(group, **{**asked, "idempotency_key": "b"}, until=date(2027, 12, 31))
    assert last.outcome is Outcome.POSTED
    for field, other in (("until", MORE), ("lot_id", None), ("reason", "else")):
        again = {**asked, "idempotency_key": "b", "until": date(2027, 12, 31), field: other}
        with pytest.raises(Conflict) as conflict:
            await extend(group, **again)
        assert conflict.value.field == {"lot_id": "reference_tx"}.get(field, field)
    assert await verify(group) == []


async def test_what_expired_comes_back_for_the_grace_or_as_long_as_is_said(
    group: AsyncConnection,
) -> None:
    lot = await give(group, LI, 100, expires_on=YESTERDAY)
    await expire(group, today=TODAY, now=NOON)
    asked = {**THEN, "today": TODAY, "lot_id": lot, "points": 40}
    done = await reinstate(group, **asked)
    assert (done.outcome, done.points, await posted(group)) == (Outcome.POSTED, 40, 40)
    assert await ends(group) == [TODAY + timedelta(days=30)]
    assert (await reinstate(group, **asked)).replayed
    over = await reinstate(group, **{**asked, "points": 61, "idempotency_key": "b"})
    assert (over.outcome, over.available) == (Outcome.LOT_EXCEEDED, 60)
    rest = {**asked, "points": None, "until": MORE, "idempotency_key": "c"}
    assert (await reinstate(group, **rest)).points == 60
    assert await ends(group) == [MORE]
    none = await reinstate(group, **{**rest, "idempotency_key": "d"})
    assert none.outcome is Outcome.LOT_UNKNOWN
    for until, error in ((YESTERDAY, Malformed), (TODAY.replace(year=2028), Rejected)):
        with pytest.raises(error) as said:
            await reinstate(group, **{**rest, "until": until, "idempotency_key": "e"})
        assert said.value.facts["field"] == "until"
    assert await verify(group) == []


async def test_a_receivable_is_paid_in_parts_and_its_rest_written_off(
    group: AsyncConnection,
) -> None:
    asked = {**THEN, "clawback_tx": await receivable(group)}
    paid = await recover(group, **asked, how=Recovery.PAID, points=50)
    assert (paid.outcome, paid.points) == (Outcome.POSTED, 50)
    assert (await recover(group, **asked, how=Recovery.PAID, points=50)).replayed
    with pytest.raises(Conflict) as said:
        await recover(group, **asked, how=Recovery.WRITTEN_OFF, points=50)
    assert said.value.field == "reason"
    asked["idempotency_key"] = "b"
    over = await recover(group, **asked, how=Recovery.PAID, points=21)
    assert (over.outcome, over.available) == (Outcome.RECEIVABLE_EXCEEDED, 20)
    asked["idempotency_key"] = "rest"
    assert (await recover(group, **asked, how=Recovery.WRITTEN_OFF)).points == 20
    asked["idempotency_key"] = "d"
    closed = await recover(group, **asked, how=Recovery.WRITTEN_OFF)
    assert closed.outcome is Outcome.RECEIVABLE_UNKNOWN
    why = text(
        "SELECT reason FROM ledger_transaction WHERE kind = 18 AND outcome = 0 ORDER BY tx_id"
    )
    assert (await group.scalars(why)).all() == [
        "paid: the shop was closed",
        "written_off: the shop was closed",
    ]
    assert await verify(group) == []


WRONG: list[tuple[str, object, type[HubError]]] = [
    ("reason", "", Malformed),
    ("reason", "x" * 501, Malformed),
    ("idempotency_key", "", Malformed),
    ("points", 0, Malformed),
    ("points", 1.5, Malformed),
    ("occurred_at", NOON.replace(tzinfo=None), Malformed),
    ("unit", 2, NotFound),
]


@pytest.mark.parametrize(
    ("verb", "field", "value", "error"),
    [
        (verb, *wrong)
        for verb in (extend, reinstate, recover)
        for wrong in WRONG
        if wrong[0] in verb.__annotations__
    ],
)
async def test_what_makes_no_sense_names_its_field_and_leaves_no_row(
    group: AsyncConnection, verb: Verb, field: str, value: object, error: type[HubError]
) -> None:
    lot = await give(group, LI, 100, expires_on=ENDS)
    more: dict[Verb, dict[str, Any]] = {
        extend: {**WHO, "today": TODAY, "lot_id": lot, "until": MORE},
        reinstate: {**THEN, "today": TODAY, "lot_id": lot},
        recover: {**THEN, "clawback_tx": 1, "how": Recovery.PAID},
    }
    with pytest.raises(error) as said:
        await verb(group, **{**more[verb], field: value})
    assert said.value.facts["field"] == field
    kept = await group.scalar(text("SELECT count(*) FROM ledger_transaction WHERE kind > 9"))
    assert kept == 0


async def test_the_sweep_notes_what_has_become_active_of_every_unit(group: AsyncConnection) -> None:
    await group.execute(text("INSERT INTO point_unit VALUES (3, 'stars', 'Stars', 'spendable')"))
    later = NOON + timedelta(days=1)
    for member_id, at in ((LI, NOON), (HAN, NOON), (LI, later)):
        await give(group, member_id, 10, activates_at=at, occurred_at=NOON - timedelta(days=1))
    swept = await activate(group, now=NOON, members=1)
    assert (swept.members, swept.last_member_id) == (1, LI)
    swept = await activate(group, now=NOON, after_member_id=LI)
    assert (swept.members, swept.last_member_id) == (1, HAN)
    assert (await activate(group, now=NOON)).last_member_id is None
    pending = await group.execute(text("SELECT member_id, pending FROM balance ORDER BY 1"))
    assert [tuple(row) for row in pending] == [(LI, 10), (HAN, 0)]
    assert await verify(group) == []
