"""Who pays whom: everybody's net is paid, by few payments, the same whatever the order."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.settlement.netting import Net
from hub.settlement.pairing import pair_off


@st.composite
def balanced(draw: st.DrawFn) -> list[Net]:
    """Net positions that sum to zero in each of two currencies."""
    nets = []
    for currency in ("CNY", "JPY"):
        amounts = draw(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=12))
        amounts.append(-sum(amounts))
        nets += [
            Net(business_id=i, currency=currency, net_minor=minor)
            for i, minor in enumerate(amounts, start=1)
        ]
    return draw(st.permutations(nets))


@given(balanced(), st.sampled_from([None, 1, 99]))
def test_everybody_pays_or_receives_its_net_and_nothing_else(
    nets: list[Net], clearing_id: int | None
) -> None:
    moved: dict[tuple[int, str], int] = defaultdict(int)
    transfers = pair_off(nets, clearing_id=clearing_id)
    for transfer in transfers:
        assert transfer.amount_minor > 0
        assert transfer.debtor_id != transfer.creditor_id
        moved[transfer.debtor_id, transfer.currency] -= transfer.amount_minor
        moved[transfer.creditor_id, transfer.currency] += transfer.amount_minor
    owed = {(n.business_id, n.currency): n.net_minor for n in nets if n.net_minor}
    assert {key: minor for key, minor in moved.items() if minor} == owed
    pairs = [(t.debtor_id, t.creditor_id, t.currency) for t in transfers]
    assert len(set(pairs)) == len(pairs)
    if clearing_id is None:
        assert len(transfers) <= max(0, len(owed) - 1)
    else:
        assert all(clearing_id in (t.debtor_id, t.creditor_id) for t in transfers)
    assert pair_off(sorted(nets, key=repr), clearing_id=clearing_id) == transfers


def test_positions_that_do_not_balance_are_a_bug() -> None:
    with pytest.raises(ValueError, match="sum to zero"):
        pair_off([Net(business_id=1, currency="CNY", net_minor=1)])
