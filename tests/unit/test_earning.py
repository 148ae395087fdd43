import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Malformed
from hub.points.undo import Refunded, undone
from hub.programme.bill import BillLine, BillTender
from hub.programme.earning import EarnedLine, appraise
from hub.units import Money, exponent, share_by_largest_remainder
from tests.support.earning import bill, rule


def test_points_are_floored_once_for_the_whole_bill() -> None:
    # 0.60 + 0.60 + 0.60 is 1.80: one point, not none three times.
    earning = appraise(rule(), bill(60, 60, 60))
    assert earning.points == 1
    assert [line.points for line in earning.lines] == [1, 0, 0]


def test_what_is_not_merchandise_does_not_earn() -> None:
    tax = BillLine(id="t", kind="tax", net_minor=600)
    assert appraise(rule(), bill(10_000, tax)).points == 100


def test_a_line_below_zero_takes_off_what_the_others_earn() -> None:
    earning = appraise(rule(), bill(8_000, 4_000, -3_000))
    assert earning.points == 90
    assert [line.points for line in earning.lines] == [60, 30]
    assert appraise(rule(), bill(3_000, -3_000)).points == 0


@pytest.mark.parametrize(("paid_by", "points"), [("card", 100), ("points", 60), ("giftcard", 60)])
def test_excluded_tenders_reduce_the_base(paid_by: str, points: int) -> None:
    tenders = (
        BillTender(kind=paid_by, amount_minor=4_000),
        BillTender(kind="cash", amount_minor=6_000),
    )
    assert appraise(rule(), bill(10_000, tenders=tenders)).points == points


@pytest.mark.parametrize(
    ("currency", "minor", "points"), [("JPY", 1000, 1000), ("CNY", 1000, 10), ("KWD", 1000, 1)]
)
def test_a_rate_is_per_major_unit_whatever_the_exponent(
    currency: str, minor: int, points: int
) -> None:
    assert appraise(rule(currency=currency), bill(minor, currency=currency)).points == points


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=8), st.integers(0, 10**7))
def test_line_shares_sum_to_the_bill(nets: list[int], excluded: int) -> None:
    tenders = (BillTender(kind="points", amount_minor=excluded),)
    earning = appraise(rule("1.37", "0.5"), bill(*nets, tenders=tenders))
    assert sum(line.points for line in earning.lines) == earning.points
    assert sum(line.qualifying for line in earning.lines) == earning.qualifying
    assert sum(line.base for line in earning.lines) == max(0, sum(nets) - excluded)


earned_lines = st.lists(
    st.tuples(st.integers(1, 10**6), st.integers(0, 10**5)), min_size=1, max_size=6
).map(
    lambda rows: [
        EarnedLine(id=str(i), net=net, base=net, points=points, qualifying=points)
        for i, (net, points) in enumerate(rows)
    ]
)


@given(earned_lines, st.data())
def test_any_split_of_a_full_refund_takes_back_exactly_what_was_earned(
    earned: list[EarnedLine], data: st.DataObject
) -> None:
    refunds: list[Refunded] = []
    for line in earned:
        cuts = sorted(data.draw(st.lists(st.integers(0, line.net), max_size=3)))
        for low, high in zip([0, *cuts], [*cuts, line.net], strict=True):
            part = Refunded(
                nets={line.id: high - low}, unallocated_minor=0, amount_minor=high - low
            )
            refunds.append(part)
    refunds = data.draw(st.permutations(refunds))
    total = sum(line.net for line in earned)
    taken = 0
    for n in range(1, len(refunds) + 1):
        points, _ = undone(earned, total_minor=total, refunds=refunds[:n])
        assert points >= taken
        taken = points
    assert taken == sum(line.points for line in earned)


@given(
    earned_lines,
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 10**6), st.integers(0, 10**6)), max_size=5
    ),
    st.integers(0, 10**6),
    st.randoms(use_true_random=False),
)
def test_refunds_undo_the_same_in_any_order_and_never_too_much(
    earned: list[EarnedLine], parts: list[tuple[int, int, int]], extra: int, random: object
) -> None:
    refunds = [
        Refunded(nets={str(i): net}, unallocated_minor=loose, amount_minor=net + loose)
        for i, net, loose in parts
    ]
    total = sum(line.net for line in earned) + extra
    points, qualifying = undone(earned, total_minor=total, refunds=refunds)
    random.shuffle(refunds)  # type: ignore[attr-defined]
    assert undone(earned, total_minor=total, refunds=refunds) == (points, qualifying)
    assert 0 <= points <= sum(line.points for line in earned)


def test_an_amount_without_lines_takes_its_share_of_what_is_left() -> None:
    earned = [EarnedLine(id="a", net=10_000, base=10_000, points=100, qualifying=100)]
    half = Refunded(nets={}, unallocated_minor=5_300, amount_minor=5_300)
    # The bill was 106.00 with tax: 53.00 is half of it.
    assert undone(earned, total_minor=10_600, refunds=[half]) == (50, 50)
    assert undone(earned, total_minor=10_600, refunds=[half, half]) == (100, 100)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_shares_sum_to_the_total_and_stay_near_their_proportion(
    total: int, weights: list[int]
) -> None:
    base = sum(weights)
    if base == 0:
        with pytest.raises(ValueError, match="zero"):
            share_by_largest_remainder(total or 1, weights)
        return
    shares = share_by_largest_remainder(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert 0 <= share - total * weight // base <= 1


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.34", "CNY", 1234),
        ("12.340", "CNY", 1234),
        ("1000", "JPY", 1000),
        ("1.234", "KWD", 1234),
    ],
)
def test_money_is_read_exactly(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency).minor == minor
    assert Money.parse(str(Money(minor, currency)), currency).minor == minor


@pytest.mark.parametrize(
    ("text", "currency"), [("12.345", "CNY"), ("1.5", "JPY"), ("abc", "CNY"), (1.5, "CNY")]
)
def test_money_that_cannot_be_exact_is_refused(text: object, currency: str) -> None:
    with pytest.raises(Malformed) as refused:
        Money.parse(text, currency, field="total_price")  # type: ignore[arg-type]
    assert refused.value.field == "total_price"


@pytest.mark.parametrize("currency", ["ZZZ", "cny", "XTS", "", "CNYCNYCNY"])
def test_a_currency_that_nobody_pays_in_is_refused(currency: str) -> None:
    with pytest.raises(Malformed) as refused:
        exponent(currency)
    assert refused.value.field == "currency"
