"""From weighed pairs to people, where some already stand together: accounts of members. Pure.

Groups are united along edges by falling weight, in whole bits. What is decided depends on what the
accounts say and on what staff decided, not on the order in which anything came:

- what staff made one person is one before anything else is looked at;
- no group grows beyond `LARGEST`, or has two accounts that must not be together;
- where two edges of one weight lead from a group to two who are rivals (they contradict each other,
  or nothing may make them one by itself), nobody can tell whose it is: neither edge counts;
- among edges of one weight the accounts' own rank decides which comes first.

At last what stands together and is not contradicted stays together, although nothing that the
accounts say now speaks for it: evidence may be older. What does speak for it was decided on before.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import floor
from typing import Any

from hub.members.matching.clustering import LARGEST

Test = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class Edge:
    """Two accounts that are one person's, as far as it goes by themselves."""

    left: int
    right: int
    bits: float


@dataclass(slots=True)
class Settled:
    """Who is one person, and along which edges they were united."""

    groups: list[list[int]] = field(default_factory=list)
    united: list[Edge] = field(default_factory=list)


def settle(
    accounts: Sequence[int],
    edges: Iterable[Edge],
    *,
    rank: Callable[[int], Any],
    fixed: Iterable[Sequence[int]] = (),
    standing: Iterable[Sequence[int]] = (),
    contradicts: Test,
    rivals: Test,
    forbidden: Test,
    in_view: Test,
) -> Settled:
    """Group accounts. `fixed` are together by decision, `standing` by links that may be undone.

    `contradicts` says that two accounts are two people's, `rivals` that no edge to a third may make
    them one, `forbidden` that they are not put together all the same.
    """
    groups = _Groups(accounts, contradicts, rivals, forbidden)
    for together in fixed:
        for other in together[1:]:
            groups.unite(together[0], other)
    settled = Settled()
    levels: dict[int, list[Edge]] = {}
    for edge in edges:
        levels.setdefault(floor(edge.bits), []).append(edge)
    for _, tied in sorted(levels.items(), reverse=True):
        _follow(groups, tied, rank, settled)
    for together in standing:
        first = min(together)
        for other in sorted(together):
            if not groups.any(in_view, first, other):
                groups.may_unite(first, other)
    settled.groups = groups.all()
    return settled


def _follow(
    groups: "_Groups", tied: list[Edge], rank: Callable[[int], Any], settled: Settled
) -> None:
    """Follow edges of one weight, but for those that lead to people who contradict each other."""
    open_edges = [edge for edge in tied if not groups.together(edge.left, edge.right)]
    near: dict[int, set[int]] = {}
    for edge in open_edges:
        one, other = groups.head(edge.left), groups.head(edge.right)
        near.setdefault(one, set()).add(other)
        near.setdefault(other, set()).add(one)
    contested = {
        edge
        for edge in open_edges
        for one, other in _both_ways(groups.head(edge.left), groups.head(edge.right))
        if any(groups.are_rivals(other, rival) for rival in near[one] - {other})
    }
    follow = [edge for edge in open_edges if edge not in contested]
    for edge in sorted(follow, key=lambda e: sorted([rank(e.left), rank(e.right)])):
        if groups.together(edge.left, edge.right) or groups.are_rivals(edge.left, edge.right):
            continue
        if groups.may_unite(edge.left, edge.right):
            settled.united.append(edge)


def _both_ways(one: int, other: int) -> Iterable[tuple[int, int]]:
    return (one, other), (other, one)


class _Groups:
    def __init__(
        self, accounts: Sequence[int], contradicts: Test, rivals: Test, forbidden: Test
    ) -> None:
        self._of = {account: [account] for account in accounts}
        self._contradicts, self._rivals, self._forbidden = contradicts, rivals, forbidden

    def head(self, account: int) -> int:
        return min(self._of[account])

    def together(self, one: int, other: int) -> bool:
        return self._of[one] is self._of[other]

    def unite(self, one: int, other: int) -> None:
        if not self.together(one, other):
            group, joining = self._of[one], self._of[other]
            group.extend(joining)
            for account in joining:
                self._of[account] = group

    def are_rivals(self, one: int, other: int) -> bool:
        return self.any(self._contradicts, one, other) or self.any(self._rivals, one, other)

    def any(self, test: Test, one: int, other: int) -> bool:
        if self.together(one, other):
            return False
        return any(test(a, b) for a in self._of[one] for b in self._of[other])

    def may_unite(self, one: int, other: int) -> bool:
        """Unite two groups unless a rule forbids it; says whether they are one."""
        if self.together(one, other):
            return True
        a, b = self._of[one], self._of[other]
        if len(a) + len(b) > LARGEST or self.any(self._contradicts, one, other):
            return False
        if self.any(self._forbidden, one, other):
            return False
        self.unite(one, other)
        return True

    def all(self) -> list[list[int]]:
        return sorted(sorted(group) for group in {id(g): g for g in self._of.values()}.values())
