"""What a split puts right, on ledgers small enough to work out by hand."""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hub.ledger.apart import Line, Lot, Move, redress, short_of_holds
from hub.ledger.codes import Side
from hub.members.partition import partition

DAY = date(2026, 10, 15)
ANNA, BO = 1, 2
SIDES = {11: ANNA, 12: ANNA, 21: BO}


def lot(lot_id: int, account_id: int, free: int, *, days: int = 10, issuer_id: int = 1) -> Lot:
    ends = DAY + timedelta(days=days)
    return Lot(
        lot_id=lot_id,
        account_id=account_id,
        issuer_id=issuer_id,
        cost_rate=Decimal("0.01"),
        expires_on=ends,
        order=(ends, lot_id),
        pending=False,
        free=free,
    )


def move(
    tx_id: int, on: tuple[int, int], points: int, debit: Side, credit: Side, **more: int
) -> Move:
    """A movement of points `on` a lot by an account."""
    return Move(
        tx_id=tx_id,
        lot_id=on[0],
        account_id=on[1],
        points=points,
        debit=debit,
        credit=credit,
        business_date=DAY + timedelta(days=more.get("days", 0)),
        refunded=more.get("refunded"),
    )


def spent(tx_id: int, lot_id: int, account_id: int, points: int, **more: int) -> Move:
    return move(tx_id, (lot_id, account_id), points, Side.MEMBER, Side.ACCEPTED, **more)


def told(lines: list[Line]) -> list[tuple[int | None, int, int, str, str]]:
    return [
        (line.lot_id, line.account_id, line.points, line.debit.name, line.credit.name)
        for line in lines
    ]


def test_nothing_is_put_right_where_nobody_took_from_another() -> None:
    lots = [lot(1, 11, 50), lot(2, 21, 50)]
    moves = [spent(9, 1, 12, 10), spent(10, 2, 21, 10)]
    assert redress(lots, moves, SIDES, {}, DAY) == []


def test_what_was_taken_comes_back_and_is_given_from_what_would_have_gone_first() -> None:
    lots = [lot(1, 11, 50, days=20), lot(2, 12, 30, days=5), lot(3, 21, 0)]
    lines = redress(lots, [spent(9, 3, 11, 40)], SIDES, {}, DAY)
    assert told(lines) == [
        (3, 11, 40, "REDRESSED", "MEMBER"),
        (2, 11, 30, "MEMBER", "REDRESSED"),
        (1, 11, 10, "MEMBER", "REDRESSED"),
    ]
    assert [one.free for one in lots] == [40, 0, 40]


def test_what_came_later_gives_last_and_what_is_missing_is_owed() -> None:
    lots = [lot(1, 11, 5), lot(3, 21, 0, issuer_id=2), lot(20, 12, 10, days=1)]
    lines = redress(lots, [spent(9, 3, 11, 40)], SIDES, {}, DAY)
    assert told(lines)[1:] == [
        (1, 11, 5, "MEMBER", "REDRESSED"),
        (20, 11, 10, "MEMBER", "REDRESSED"),
        (None, 11, 25, "RECEIVABLE", "REDRESSED"),
    ]
    assert lines[-1].issuer_id == 2


def test_points_that_expired_meanwhile_would_have_been_spent_by_then() -> None:
    lots = [lot(1, 11, 0, days=2), lot(2, 11, 50, days=20), lot(3, 21, 0, days=1)]
    moves = [
        spent(9, 3, 11, 40),
        move(12, (1, 11), 30, Side.MEMBER, Side.EXPIRED, days=3),
    ]
    lines = redress(lots, moves, SIDES, {}, DAY + timedelta(days=4))
    assert told(lines)[1:] == [
        (1, 11, 30, "EXPIRED", "REDRESSED"),
        (2, 11, 10, "MEMBER", "REDRESSED"),
    ]


def test_what_was_brought_back_or_put_right_before_is_not_put_right_again() -> None:
    lots = [lot(1, 11, 50), lot(3, 21, 40)]
    moves = [
        spent(9, 3, 11, 40),
        move(10, (3, 11), 15, Side.ACCEPTED, Side.MEMBER),
        move(11, (3, 11), 25, Side.REDRESSED, Side.MEMBER),
        move(11, (1, 11), 25, Side.MEMBER, Side.REDRESSED),
    ]
    assert redress(lots, moves, SIDES, {}, DAY) == []


def test_a_refund_takes_from_its_own_sale_then_from_its_issuer() -> None:
    lots = [
        lot(1, 11, 5, days=20, issuer_id=1),
        lot(2, 11, 50, days=1, issuer_id=2),
        lot(4, 12, 9, days=5, issuer_id=1),
        lot(3, 21, 0, issuer_id=1),
    ]
    refund = move(9, (3, 11), 20, Side.MEMBER, Side.CLAWED_BACK, refunded=1)
    assert told(redress(lots, [refund], SIDES, {}, DAY))[1:] == [
        (1, 11, 5, "MEMBER", "REDRESSED"),
        (4, 11, 9, "MEMBER", "REDRESSED"),
        (2, 11, 6, "MEMBER", "REDRESSED"),
    ]


def test_a_side_gives_nothing_of_what_its_holds_keep() -> None:
    lots = [lot(1, 11, 50), lot(3, 21, 0)]
    lines = redress(lots, [spent(9, 3, 11, 40)], SIDES, {ANNA: 30}, DAY)
    assert told(lines)[1:] == [
        (1, 11, 20, "MEMBER", "REDRESSED"),
        (None, 11, 20, "RECEIVABLE", "REDRESSED"),
    ]
    assert short_of_holds(lots, SIDES, {ANNA: 30}) is None
    assert short_of_holds(lots, SIDES, {ANNA: 31}) == ANNA


takes = st.lists(
    st.tuples(
        st.integers(1, 6), st.sampled_from(sorted(SIDES)), st.integers(1, 60), st.integers(0, 9)
    ),
    max_size=8,
)


@given(takes, st.lists(st.integers(0, 80), min_size=6, max_size=6))
def test_all_nets_to_zero_and_no_lot_goes_below(
    taken: list[tuple[int, int, int, int]], left: list[int]
) -> None:
    lots = [lot(n, [11, 12, 21][n % 3], free, days=n) for n, free in enumerate(left, start=1)]
    had = sum(left)
    moves = [
        spent(10 + n, lot_id, account_id, points, days=days)
        for n, (lot_id, account_id, points, days) in enumerate(taken)
    ]
    lines = redress(lots, moves, SIDES, {}, DAY)
    into = sum(line.points for line in lines if line.credit is Side.REDRESSED)
    assert into == sum(line.points for line in lines if line.debit is Side.REDRESSED)
    assert all(one.free >= 0 for one in lots)
    owed = sum(line.points for line in lines if line.debit is Side.RECEIVABLE)
    assert sum(one.free for one in lots) == had + owed


@given(
    st.sets(st.integers(1, 12), min_size=1),
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), max_size=12),
)
def test_who_is_who_does_not_depend_on_the_order_of_edges(
    births: set[int], pairs: list[tuple[int, int]]
) -> None:
    edges = [(a, b) for a, b in pairs if {a, b} <= births]
    whom = partition(births, edges)
    assert whom == partition(births, reversed(edges))
    assert all(whom[a] == whom[b] for a, b in edges)
    assert all(whom[whom[born]] == whom[born] <= born for born in births)
