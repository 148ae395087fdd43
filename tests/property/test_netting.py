"""Netting, whatever is owed: it creates and destroys nothing."""

from collections import defaultdict
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from hub.settlement.netting import Gross, net_bilaterally, net_multilaterally

BUSINESSES = st.integers(1, 6)


@st.composite
def debts(draw: st.DrawFn) -> Gross:
    issuer = draw(BUSINESSES)
    return Gross(
        debtor_id=issuer,
        creditor_id=draw(BUSINESSES.filter(lambda business: business != issuer)),
        currency=draw(st.sampled_from(["CNY", "JPY", "KWD"])),
        gross_minor=draw(st.integers(-(10**15), 10**15)),
    )


LISTS = st.lists(debts(), max_size=60)


@given(LISTS)
def test_net_positions_sum_to_zero_in_every_currency(gross: list[Gross]) -> None:
    sums: dict[str, int] = defaultdict(int)
    for net in net_multilaterally(gross):
        sums[net.currency] += net.net_minor
    assert set(sums.values()) <= {0}


@given(LISTS)
def test_a_business_receives_the_same_whichever_way_it_is_netted(gross: list[Gross]) -> None:
    by_pairs: dict[tuple[int, str], int] = defaultdict(int)
    for pair in net_bilaterally(gross):
        assert pair.net_minor >= 0
        by_pairs[pair.creditor_id, pair.currency] += pair.net_minor
        by_pairs[pair.debtor_id, pair.currency] -= pair.net_minor
    nets = {(n.business_id, n.currency): n.net_minor for n in net_multilaterally(gross)}
    assert nets == by_pairs


@given(LISTS)
def test_a_pair_is_listed_once_and_keeps_both_its_debts(gross: list[Gross]) -> None:
    listed = net_bilaterally(gross)
    pairs = [(frozenset((p.debtor_id, p.creditor_id)), p.currency) for p in listed]
    assert len(pairs) == len(set(pairs))
    owed = sum(p.owed_minor + p.counter_minor for p in listed)
    assert owed == sum(one.gross_minor for one in gross)


@given(LISTS, st.integers())
def test_the_order_of_debts_makes_no_difference(gross: list[Gross], seed: int) -> None:
    shuffled = gross.copy()
    Random(seed).shuffle(shuffled)
    assert net_bilaterally(shuffled) == net_bilaterally(gross)
    assert net_multilaterally(shuffled) == net_multilaterally(gross)
