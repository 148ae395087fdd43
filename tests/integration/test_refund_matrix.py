"""The refund matrix: every shape of refund, under every policy, in every order of arrival.

In each row the member buys for 100 yuan at the hotel and gets 100 points. `till-1` is the key under
which a till asked for 70 of them. What is expected is what every order of `then` ends in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.support.ledger import NOON
from tests.support.refunds import (
    LIMIT,
    NOVEMBER,
    Step,
    bill,
    closing,
    every_order,
    heard,
    later,
    open_shops,
    refund,
    spend,
    void_of,
)

FORGIVEN, OWED, RECEIVABLE = 0, 1, 2
LAST_DAY = "2027-10-31"
EXPIRED = NOON.replace(year=2027, month=11, day=3)
GRACE = "2027-12-03"
SALE = heard("hotel", bill("S", 10_000))
SPENT = spend("dining", 70)
FULL = heard("hotel", refund("R", "S", 10_000))
IN_POINTS = heard("dining", bill("B", 7_000, points=7_000))
MIXED = heard("dining", bill("B", 10_000, points=7_000))


def hotel(remaining: int, earned: int = 100, ends: str = LAST_DAY) -> tuple[Any, ...]:
    return "hotel", earned, remaining, ends


def dining(remaining: int, earned: int = 30) -> tuple[Any, ...]:
    return "dining", earned, remaining, LAST_DAY


def owes(points: int, *, late: bool = False) -> tuple[Any, ...]:
    """What the hotel owes the restaurant that took its points."""
    return "hotel", "dining", points, late


def back(number: str, amount: int, points: int | None = None, reference: str | None = None) -> Step:
    return heard("dining", refund(number, "B", amount, points=points, reference=reference))


@dataclass(frozen=True, kw_only=True)
class Row:
    """`lots` and `settled` as in Books; `missing` is what the clawback of the sale lacks.

    `lacks` says that a clawback lacks points, if only until others come back: then, and only then,
    the issuer's policy has something to decide.
    """

    first: Sequence[Step] = (SALE,)
    then: Sequence[Step]
    posted: int
    lots: Sequence[tuple[Any, ...]]
    missing: int = 0
    lacks: bool = False
    settled: Sequence[tuple[Any, ...]] = field(default=())


ROWS = {
    "in full": Row(then=[FULL], posted=0, lots=[hotel(0)]),
    "void": Row(then=[heard("hotel", void_of("S"))], posted=0, lots=[hotel(0)]),
    "void after a part": Row(
        then=[heard("hotel", void_of("S")), heard("hotel", refund("R", "S", 3_333))],
        posted=0,
        lots=[hotel(0)],
    ),
    "in parts, to the last cent": Row(
        then=[
            heard("hotel", refund("R1", "S", 3_333)),
            heard("hotel", refund("R2", "S", 3_333, nets={"0": 3_333})),
            heard("hotel", refund("R3", "S", 3_334)),
        ],
        posted=0,
        lots=[hotel(0)],
    ),
    "in parts, not all": Row(
        then=[
            heard("hotel", refund("R1", "S", 3_050)),
            heard("hotel", refund("R2", "S", 2_000, nets={"0": 2_000})),
        ],
        posted=50,
        lots=[hotel(50)],
    ),
    "repeated": Row(
        then=[heard("hotel", refund("R", "S", 4_000))] * 3, posted=60, lots=[hotel(60)]
    ),
    "before its sale": Row(
        first=(),
        then=[SALE, heard("hotel", refund("R", "S", 4_000)), SALE],
        posted=60,
        lots=[hotel(60)],
    ),
    "of more than the sale": Row(
        then=[heard("hotel", refund("R", "S", 12_000)), heard("hotel", refund("Q", "S", 9_000))],
        posted=0,
        lots=[hotel(0)],
    ),
    "after its points were spent": Row(
        first=(SALE, SPENT),
        then=[FULL],
        lacks=True,
        posted=0,
        missing=70,
        lots=[hotel(0)],
        settled=[owes(70)],
    ),
    "in parts after its points were spent": Row(
        first=(SALE, SPENT),
        then=[
            heard("hotel", refund("R1", "S", 2_500)),
            heard("hotel", refund("R2", "S", 2_500)),
            heard("hotel", refund("R3", "S", 5_000)),
        ],
        lacks=True,
        posted=0,
        missing=70,
        lots=[hotel(0)],
        settled=[owes(70)],
    ),
    "paid in points": Row(
        first=(SALE, SPENT),
        then=[IN_POINTS, back("R", 7_000, 7_000)],
        posted=100,
        lots=[hotel(100)],
    ),
    "paid in points, in parts and repeated": Row(
        first=(SALE, SPENT),
        then=[IN_POINTS, back("R1", 2_333, 2_333), *[back("R2", 1_167, 1_167)] * 2],
        posted=65,
        lots=[hotel(65)],
        settled=[owes(35)],
    ),
    "paid in points, void": Row(
        first=(SALE, SPENT),
        then=[IN_POINTS, heard("dining", void_of("B")), back("R1", 2_333, 2_333)],
        posted=100,
        lots=[hotel(100)],
    ),
    "paid in points, named by the refund alone": Row(
        first=(SALE, SPENT),
        then=[
            heard("dining", bill("B", 7_000, points=7_000, reference=None)),
            back("R1", 3_500, 3_500),
            back("R2", 3_500, 3_500, reference="till-1"),
        ],
        posted=100,
        lots=[hotel(100)],
    ),
    "paid in mixed tenders, each refund says in what": Row(
        first=(SALE, SPENT),
        then=[MIXED, back("R1", 6_000, 3_000), back("R2", 4_000, 4_000)],
        posted=100,
        lots=[dining(0), hotel(100)],
    ),
    "paid in mixed tenders, no refund says in what": Row(
        first=(SALE, SPENT),
        then=[MIXED, back("R1", 2_000), back("R2", 3_000)],
        posted=30 + 20 + 15,
        lots=[dining(15), hotel(50)],
        settled=[owes(50)],
    ),
    "paid in mixed tenders, one refund says in what": Row(
        first=(SALE, SPENT),
        then=[MIXED, back("R1", 4_000), back("R2", 3_000, 0)],
        posted=30 + 40 + 9,
        lots=[dining(9), hotel(70)],
        settled=[owes(30)],
    ),
    "of both, what was earned and what its points bought": Row(
        first=(SALE, SPENT),
        then=[IN_POINTS, FULL, back("R", 7_000, 7_000)],
        lacks=True,
        posted=0,
        lots=[hotel(0)],
    ),
    "of both, what its points bought in part": Row(
        first=(SALE, SPENT),
        then=[IN_POINTS, FULL, back("R", 3_500, 3_500)],
        lacks=True,
        posted=0,
        missing=35,
        lots=[hotel(0)],
        settled=[owes(35)],
    ),
    "of both, each in parts": Row(
        first=(SALE, SPENT),
        then=[
            IN_POINTS,
            heard("hotel", refund("R1", "S", 6_000)),
            heard("hotel", refund("R2", "S", 4_000)),
            back("R3", 3_500, 3_500),
        ],
        lacks=True,
        posted=0,
        missing=35,
        lots=[hotel(0)],
        settled=[owes(35)],
    ),
    "where other points were spent too": Row(
        first=(heard("retail", bill("T", 5_000)), SALE, spend("dining", 120)),
        then=[heard("dining", bill("B", 12_000, points=12_000)), FULL, back("R", 6_000, 6_000)],
        lacks=True,
        posted=0,
        missing=10,
        lots=[hotel(0), ("retail", 50, 0, LAST_DAY)],
        settled=[owes(10), ("retail", "dining", 50, False)],
    ),
    "across a change of the rule": Row(
        first=(
            SALE,
            later(NOVEMBER + timedelta(days=3)),
            heard("hotel", bill("N", 1_000, at=NOVEMBER + timedelta(days=1))),
        ),
        then=[
            heard("hotel", refund("R1", "S", 4_000, at=NOVEMBER + timedelta(days=2))),
            heard("hotel", refund("R2", "N", 500, at=NOVEMBER + timedelta(days=2))),
        ],
        posted=60 + 15,
        lots=[hotel(60), hotel(15, 30, "2027-11-30")],
    ),
    "after expiry": Row(
        first=(SALE, SPENT, later(EXPIRED)),
        then=[IN_POINTS, heard("dining", refund("R", "B", 3_500, points=3_500, at=EXPIRED))],
        posted=35,
        lots=[hotel(35, ends=GRACE)],
        settled=[owes(70)],
    ),
    "into a closed period": Row(
        first=(SALE, SPENT, closing("2026-10"), later(NOVEMBER + timedelta(days=3))),
        then=[IN_POINTS, back("R", 3_500, 3_500)],
        posted=65,
        lots=[hotel(65)],
        settled=[owes(70), owes(-35, late=True)],
    ),
    "of both, into a closed period": Row(
        first=(SALE, SPENT, closing("2026-10"), later(NOVEMBER + timedelta(days=3))),
        then=[IN_POINTS, FULL, back("R", 3_500, 3_500)],
        lacks=True,
        posted=0,
        missing=35,
        lots=[hotel(0)],
        settled=[owes(70), owes(-35, late=True)],
    ),
}


def left(mode: str, missing: int) -> tuple[int, dict[int, int]]:
    """What a policy makes of points that are missing: what is owed, and what is short, by mode."""
    owed = min(missing, LIMIT) if mode == "negative_to_limit" else 0
    short = {
        FORGIVEN: missing if mode == "within_balance" else 0,
        OWED: owed,
        RECEIVABLE: missing if mode == "receivable" else 0,
    }
    if mode == "negative_to_limit":
        short[FORGIVEN] = missing - owed
    return owed, {kind: points for kind, points in short.items() if points}


MODES = ("within_balance", "negative_to_limit", "receivable")
CASES = [(name, mode) for name, row in ROWS.items() for mode in (MODES if row.lacks else MODES[:1])]


@pytest.mark.parametrize(("name", "mode"), CASES)
async def test_a_refund_ends_in_the_same_books_in_every_order(
    db: AsyncConnection, name: str, mode: str
) -> None:
    row = ROWS[name]
    owed, short = left(mode, row.missing)
    for books in await every_order(await open_shops(db, mode), row.first, row.then):
        assert books.balance == (row.posted - owed, owed, 0, row.posted)
        assert books.lots == list(row.lots)
        assert books.short == short
        assert books.settled == list(row.settled)
