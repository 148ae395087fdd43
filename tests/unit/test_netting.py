from decimal import Decimal

import pytest

from hub.settlement.netting import (
    Gross,
    Net,
    net_bilaterally,
    net_multilaterally,
    round_to_minor,
)


def owes(issuer: int, acceptor: int, minor: int, currency: str = "CNY") -> Gross:
    return Gross(debtor_id=issuer, creditor_id=acceptor, currency=currency, gross_minor=minor)


@pytest.mark.parametrize(
    ("exact", "currency", "minor"),
    [
        ("0.005", "CNY", 0),
        ("0.015", "CNY", 2),
        ("0.00500001", "CNY", 1),
        ("-0.005", "CNY", 0),
        ("-0.015", "CNY", -2),
        ("2.5", "JPY", 2),
        ("3.5", "JPY", 4),
        ("1.2345", "KWD", 1234),
        ("9999999999999999.99500000", "CNY", 1_000_000_000_000_000_000),
    ],
)
def test_a_tie_goes_to_the_even_minor_unit_of_the_currency(
    exact: str, currency: str, minor: int
) -> None:
    assert round_to_minor(Decimal(exact), currency) == minor


def test_the_larger_debt_decides_who_pays() -> None:
    (pair,) = net_bilaterally([owes(1, 2, 9600), owes(2, 1, 23200)])
    assert (pair.debtor_id, pair.creditor_id) == (2, 1)
    assert (pair.owed_minor, pair.counter_minor, pair.net_minor) == (23200, 9600, 13600)


def test_a_pair_that_is_quits_is_listed_with_nothing_to_pay() -> None:
    (pair,) = net_bilaterally([owes(7, 3, 500), owes(3, 7, 500)])
    assert (pair.debtor_id, pair.creditor_id, pair.net_minor) == (3, 7, 0)


def test_more_given_back_than_redeemed_turns_the_debt_around() -> None:
    (pair,) = net_bilaterally([owes(1, 2, -300)])
    assert (pair.debtor_id, pair.creditor_id) == (2, 1)
    assert (pair.owed_minor, pair.counter_minor, pair.net_minor) == (0, -300, 300)
    assert net_multilaterally([owes(1, 2, -300)]) == [
        Net(business_id=1, currency="CNY", net_minor=300),
        Net(business_id=2, currency="CNY", net_minor=-300),
    ]


def test_currencies_are_never_set_off_against_each_other() -> None:
    gross = [owes(1, 2, 500), owes(2, 1, 500, "JPY")]
    assert [pair.net_minor for pair in net_bilaterally(gross)] == [500, 500]
    assert {
        (net.business_id, net.currency, net.net_minor) for net in net_multilaterally(gross)
    } == {
        (1, "CNY", -500),
        (2, "CNY", 500),
        (2, "JPY", -500),
        (1, "JPY", 500),
    }


def test_a_circle_of_equal_debts_nets_to_nothing_but_stays_visible() -> None:
    circle = [owes(1, 2, 100), owes(2, 3, 100), owes(3, 1, 100)]
    assert [net.net_minor for net in net_multilaterally(circle)] == [0, 0, 0]
    assert [pair.net_minor for pair in net_bilaterally(circle)] == [100, 100, 100]


def test_a_debt_to_oneself_is_a_bug() -> None:
    with pytest.raises(ValueError, match="owes itself nothing"):
        net_bilaterally([owes(1, 1, 5)])
