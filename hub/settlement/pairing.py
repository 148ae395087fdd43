"""Pairing: who pays whom, so that everybody's net is paid. Pure and deterministic.

Directly, the largest debtor pays the largest creditor first: n businesses need at most n − 1
payments a currency. Through a clearing business every debtor pays it, and it pays every creditor.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from hub.settlement.netting import Net


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What a debtor is to pay a creditor, in minor units, above zero."""

    debtor_id: int
    creditor_id: int
    currency: str
    amount_minor: int


def pair_off(nets: Iterable[Net], *, clearing_id: int | None = None) -> list[Transfer]:
    """Return the payments that settle `nets`, by currency; raises ValueError for an imbalance."""
    listed = list(nets)
    transfers: list[Transfer] = []
    for currency in sorted({net.currency for net in listed}):
        of = [net for net in listed if net.currency == currency and net.net_minor]
        if sum(net.net_minor for net in of):
            raise ValueError(f"the net positions in {currency} do not sum to zero")
        if clearing_id is None:
            transfers += _directly(of, currency)
        else:
            transfers += _through(of, currency, clearing_id)
    return transfers


def _directly(nets: list[Net], currency: str) -> list[Transfer]:
    """Pay the largest first; of equals the lower id comes first."""
    debts = [[-n.net_minor, n.business_id] for n in nets if n.net_minor < 0]
    claims = [[n.net_minor, n.business_id] for n in nets if n.net_minor > 0]
    for side in (debts, claims):
        side.sort(key=lambda one: (-one[0], one[1]))
    transfers = []
    while debts:
        amount = min(debts[0][0], claims[0][0])
        transfers.append(
            Transfer(
                debtor_id=debts[0][1],
                creditor_id=claims[0][1],
                currency=currency,
                amount_minor=amount,
            )
        )
        for side in (debts, claims):
            side[0][0] -= amount
            if side[0][0] == 0:
                side.pop(0)
    return transfers


def _through(nets: list[Net], currency: str, clearing_id: int) -> list[Transfer]:
    return [
        Transfer(
            debtor_id=net.business_id if net.net_minor < 0 else clearing_id,
            creditor_id=clearing_id if net.net_minor < 0 else net.business_id,
            currency=currency,
            amount_minor=abs(net.net_minor),
        )
        for net in sorted(nets, key=lambda one: (one.net_minor > 0, one.business_id))
        if net.business_id != clearing_id
    ]
