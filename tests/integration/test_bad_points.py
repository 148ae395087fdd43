"""What no till means is refused with the field it is wrong in, and leaves no row anywhere."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, HubError, Malformed, NotFound
from hub.ledger.codes import Kind, Outcome, Unit
from hub.ledger.post import (
    Answer,
    RedeemRequest,
    post_adjustment,
    post_extension,
    post_move,
    post_redeems,
)
from hub.ledger.verify import verify
from hub.points.capture import capture
from hub.points.checks import FASTEST_CLOCK, MOST_POINTS
from hub.points.hold import hold
from hub.points.redeem import redeem
from hub.points.restore import restore
from hub.points.void import void
from hub.programme.acting import Acting
from hub.units import MOST_MINOR
from tests.support.ledger import COST, NOON, TODAY, give
from tests.support.tills import at_once, driver, introduce, open_tills

MEMBER, OTHER = 7, 8
NOWHERE = 10**15
Verb = Callable[..., Awaitable[Answer]]


async def at_till(db: AsyncConnection, *, acting: Acting, **asked: Any) -> Answer:
    """Redeem as tills do: at once, and where that does nothing the long way."""
    return await at_once(driver(db), acting, **asked) or await redeem(db, **asked)


@dataclass(frozen=True, slots=True)
class Bad:
    """A wrong value of a field, and the error that names the field."""

    field: str
    value: object
    error: type[HubError] = Malformed

    def __str__(self) -> str:
        return f"{self.field}={self.value}"


AMOUNTS = [
    Bad("points", n) for n in (0, -1, -(10**20), MOST_POINTS + 1, 2**63, 1.5, 7.0, True, "7")
]
INSTANTS = [
    Bad("occurred_at", NOON.replace(tzinfo=None)),
    Bad("occurred_at", NOON.replace(year=1999)),
    Bad("occurred_at", datetime.min.replace(tzinfo=NOON.tzinfo)),
    Bad("occurred_at", NOON + FASTEST_CLOCK + timedelta(seconds=1)),
    Bad("occurred_at", NOON.replace(year=9999)),
]
KEYS = [Bad("idempotency_key", key) for key in ("", "k" * 201, "a\x00b", "a\nb")]
UNITS = [Bad("unit", unit, NotFound) for unit in (Unit.QUALIFYING, 0, 99, -3)]
BILLS = [Bad("bill_minor", n) for n in (-1, MOST_MINOR + 1)]
TTLS = [Bad("ttl_seconds", n) for n in (0, -1, 7 * 24 * 3600 + 1)]


@dataclass
class Till:
    """A member with points, a hold and a redemption to refer to."""

    db: AsyncConnection
    acting: Acting
    hold_id: int
    redemption_tx: int

    def facts(self, verb: Verb) -> dict[str, Any]:
        """A request that is right."""
        facts: dict[str, Any] = {
            "business_id": 1,
            "member_id": MEMBER,
            "points": 10,
            "idempotency_key": f"good-{verb.__name__}",
            "occurred_at": NOON,
            "business_date": TODAY,
            "now": NOON,
        }
        more: dict[Verb, dict[str, Any]] = {
            redeem: {"today": TODAY, "unit": 1},
            at_till: {"today": TODAY, "acting": self.acting},
            hold: {"today": TODAY, "unit": 1, "ttl_seconds": 60},
            capture: {"hold_id": self.hold_id},
            void: {"hold_id": self.hold_id},
            restore: {"today": TODAY, "redemption_tx": self.redemption_tx},
        }
        return facts | more[verb]


@pytest.fixture
async def till(db: AsyncConnection) -> Till:
    await give(db, MEMBER, 500, qualifying=500)
    await give(db, OTHER, 500)
    await open_tills(db)
    acting = await introduce(db, [MEMBER, OTHER], business_id=1)
    made = Till(db, acting, 0, 0)
    held = await hold(db, **{**made.facts(hold), "idempotency_key": "h", "points": 50})
    spent = await redeem(db, **{**made.facts(redeem), "idempotency_key": "r", "points": 50})
    return Till(db, acting, held.tx_id, spent.tx_id)


async def rows(db: AsyncConnection) -> dict[str, str]:
    """Every table's rows, as one fingerprint each."""
    tables = await db.scalars(
        text("""
          SELECT relname FROM pg_class
          WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace""")
    )
    each = "SELECT '{0}', md5(string_agg(t::text, '' ORDER BY t::text)) FROM {0} t"
    found = await db.execute(text(" UNION ALL ".join(map(each.format, tables))))
    return {row[0]: row[1] for row in found}


def table() -> list[Any]:
    wrong: dict[Verb, list[Bad]] = {
        redeem: AMOUNTS + BILLS + INSTANTS + KEYS + UNITS,
        at_till: AMOUNTS + BILLS + KEYS,
        hold: AMOUNTS + BILLS + INSTANTS + KEYS + UNITS + TTLS,
        capture: AMOUNTS + INSTANTS + KEYS,
        void: AMOUNTS + INSTANTS + KEYS,
        restore: AMOUNTS + INSTANTS + KEYS,
    }
    return [
        pytest.param(verb, bad, id=f"{verb.__name__} {str(bad)[:40]!r}")
        for verb, several in wrong.items()
        for bad in several
    ]


@pytest.mark.parametrize(("verb", "bad"), table())
async def test_what_no_till_means_names_its_field_and_leaves_no_row(
    till: Till, verb: Verb, bad: Bad
) -> None:
    before = await rows(till.db)
    with pytest.raises(bad.error) as said:
        await verb(till.db, **{**till.facts(verb), bad.field: bad.value})
    assert said.value.facts["field"] == bad.field
    assert await rows(till.db) == before
    assert (await verb(till.db, **till.facts(verb))).outcome is Outcome.POSTED


@pytest.mark.parametrize(
    ("verb", "field", "other"),
    [
        (redeem, "points", 11),
        (redeem, "member_id", OTHER),
        (at_till, "points", 11),
        (at_till, "member_id", OTHER),
        (hold, "points", 11),
        (hold, "member_id", OTHER),
        (capture, "points", 11),
        (capture, "hold_id", 1),
        (void, "points", 11),
        (void, "hold_id", 1),
        (restore, "points", 11),
        (restore, "redemption_tx", 1),
    ],
)
async def test_a_key_used_again_for_another_request_is_a_conflict_that_leaves_no_row(
    till: Till, verb: Verb, field: str, other: object
) -> None:
    asked = till.facts(verb)
    first = await verb(till.db, **asked)
    before = await rows(till.db)
    with pytest.raises(Conflict) as said:
        await verb(till.db, **{**asked, field: other})
    assert said.value.field == {"hold_id": "reference_tx", "redemption_tx": "reference_tx"}.get(
        field, field
    )
    assert (await verb(till.db, **asked)).tx_id == first.tx_id
    assert await rows(till.db) == before


@pytest.mark.parametrize(
    ("verb", "other"),
    [
        both
        for both in permutations((redeem, at_till, hold, capture, void, restore), 2)
        if set(both) != {redeem, at_till}
    ],
)
async def test_a_key_used_again_by_another_verb_is_a_conflict_that_leaves_no_row(
    till: Till, verb: Verb, other: Verb
) -> None:
    await verb(till.db, **{**till.facts(verb), "idempotency_key": "same"})
    before = await rows(till.db)
    with pytest.raises(Conflict) as said:
        await other(till.db, **{**till.facts(other), "idempotency_key": "same"})
    assert said.value.field == "kind"
    assert await rows(till.db) == before


async def test_too_much_is_an_answer_that_moves_nothing(till: Till) -> None:
    """Declines are stored under their keys, and nothing else of them."""
    before = await rows(till.db)
    void_first = {**till.facts(void), "points": 40}
    for verb, facts, outcome in (
        (redeem, {"points": 401}, Outcome.INSUFFICIENT_POINTS),
        (redeem, {"member_id": NOWHERE}, Outcome.INSUFFICIENT_POINTS),
        (at_till, {"points": 401}, Outcome.INSUFFICIENT_POINTS),
        (at_till, {"member_id": NOWHERE}, Outcome.INSUFFICIENT_POINTS),
        (hold, {"points": 401}, Outcome.INSUFFICIENT_POINTS),
        (capture, {"points": 51}, Outcome.HOLD_EXCEEDED),
        (capture, {"hold_id": NOWHERE}, Outcome.HOLD_UNKNOWN),
        (capture, {"business_id": 2}, Outcome.HOLD_UNKNOWN),
        (capture, {"member_id": OTHER}, Outcome.HOLD_UNKNOWN),
        (restore, {"points": 51}, Outcome.REDEMPTION_EXCEEDED),
        (restore, {"redemption_tx": NOWHERE}, Outcome.REDEMPTION_UNKNOWN),
        (restore, {"business_id": 2}, Outcome.REDEMPTION_UNKNOWN),
        (restore, {"member_id": OTHER}, Outcome.REDEMPTION_UNKNOWN),
    ):
        key = {"idempotency_key": f"{verb.__name__} {facts}"}
        assert (await verb(till.db, **{**till.facts(verb), **facts, **key})).outcome is outcome
    after = await rows(till.db)
    assert {name for name in after if after[name] != before[name]} == {"ledger_transaction"}
    assert (await void(till.db, **void_first)).outcome is Outcome.POSTED
    captured = await capture(till.db, **{**till.facts(capture), "points": None})
    assert (captured.outcome, captured.points) == (Outcome.POSTED, 10)
    for verb in (capture, void):
        late = {**till.facts(verb), "points": 1, "idempotency_key": f"late {verb.__name__}"}
        assert (await verb(till.db, **late)).outcome is Outcome.HOLD_CLOSED
    assert await verify(till.db) == []


@pytest.mark.parametrize("unit", [Unit.QUALIFYING, 99])
async def test_nothing_is_posted_in_a_unit_that_nobody_can_spend(till: Till, unit: int) -> None:
    facts: dict[str, Any] = {
        "business_id": 1, "idempotency_key": "u", "business_date": TODAY, "today": TODAY,
        "now": NOON, "unit": unit,
    }  # fmt: skip
    moved = {"from_id": MEMBER, "to_id": OTHER, "account_id": None, "to_account_id": None}
    adjusted = {"member_id": MEMBER, "account_id": 1, "cost_rate": COST, "expires_on": None}
    one = RedeemRequest(business_id=1, idempotency_key="u", member_id=MEMBER, account_id=None,
                        points=1, occurred_at=NOON, business_date=TODAY)  # fmt: skip
    before = await rows(till.db)
    calls: tuple[Awaitable[object], ...] = (
        post_move(till.db, kind=Kind.TRANSFER, **facts, **moved, points=1, year=2026,
                  occurred_at=NOON),
        post_adjustment(till.db, **facts, **adjusted, points=1, reason="x", occurred_at=NOON),
        post_redeems(till.db, [one], today=TODAY, now=NOON, unit=unit),
        post_extension(till.db, **facts, member_id=MEMBER, lot_id=None, until=date(2027, 1, 1),
                       reason="x"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(NotFound) as said:
            await call
        assert said.value.facts["field"] == "unit"
    assert await rows(till.db) == before
