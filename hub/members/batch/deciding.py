"""From pairs and what stands to what is to be done: split, merge, review. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations, groupby
from typing import Any

import numpy as np

from hub.members.batch.judging import Judge, Pair, evidence
from hub.members.batch.links import Links
from hub.members.matching.settling import Edge, Settled, settle

_WHOLE = 60
"""In a company of up to so many accounts all pairs are asked about at once."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do. `accounts`: two; of a split those that leave, and one that stays."""

    kind: str
    accounts: tuple[int, ...]
    score: float | None
    evidence: dict[str, Any]


@dataclass(slots=True)
class Decided:
    """What is to be done, in this order, and which pairs are put to review (by account)."""

    steps: list[Step] = field(default_factory=list)
    proposed: set[tuple[int, int]] = field(default_factory=set)


def decide(
    judge: Judge,
    pairs: Sequence[Pair],
    links: Links,
    *,
    known: set[tuple[int, int]],
    within: set[int] | None = None,
) -> Decided:
    """Decide on the accounts of a sheet, or on those `within` it of which all company is known.

    `known` are pairs that were put to review before.
    """
    decided = Decided()
    doubts: list[Step] = []
    splits: list[Step] = []
    merges: list[Step] = []
    whose: dict[int, int] = {}
    """For each account a number of the person that it belongs to, when all is done."""
    edges = _edges_by_company(judge, pairs, links, within)
    contradicts = _contradictions(judge, [places for places, _ in edges])
    for places, own in edges:
        settled = _settle(judge, links, places, own, contradicts)
        for group in settled.groups:
            whose.update(dict.fromkeys(group, group[0]))
        parts = list(_parts(judge, links, settled))
        splits += _splits(judge, links, parts)
        doubts += _doubts(judge, links, places, contradicts)
        merges += _merges(judge, parts, settled, own)
    reviews = [*doubts, *(_asked(judge, step.accounts[0], step.accounts[-1]) for step in splits)]
    for pair in pairs:
        one, other = key = judge.accounts_of(pair)
        left, right = (whose.get(place, place) for place in (pair.left, pair.right))
        if left == right or links.are_apart(one, other):
            continue
        decided.proposed.add(key)
        if key not in known:
            reviews.append(Step("review", key, pair.bits, evidence(pair, judge.scorer)))
    decided.steps = [*splits, *merges, *reviews]
    return decided


def _asked(judge: Judge, one: int, other: int) -> Step:
    """Put it to people whether two accounts are one person's."""
    places = (judge.place_of(min(one, other)), judge.place_of(max(one, other)))
    pair = judge.weigh(*places)
    return Step("review", judge.accounts_of(pair), pair.bits, evidence(pair, judge.scorer))


def _doubts(
    judge: Judge, links: Links, places: list[int], contradicts: "Contradicts"
) -> Iterator[Step]:
    """Put links to people that contradict themselves and are not to be undone by anybody else."""
    accounts = judge.sheet.accounts
    births = _grouped(places, lambda place: links.born.get(accounts[place], -place))
    for first, *others in _by_what_is_not_seen(judge, births.values()):
        for other in others:
            if accounts[other] not in links.kept and contradicts(first, other):
                yield _asked(judge, accounts[first], accounts[other])


Company = tuple[list[int], list[Pair]]
Contradicts = Callable[[int, int], bool]


def _edges_by_company(
    judge: Judge, pairs: Sequence[Pair], links: Links, within: set[int] | None
) -> list[Company]:
    """Accounts, by place, that are or may be one person's, with the automatic pairs among them."""
    parent = list(range(len(judge.sheet)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[int, int] = {}
    for place, account in enumerate(judge.sheet.accounts):
        member = links.member.get(account)
        if member is not None and (within is None or account in within):
            parent[root(place)] = root(first.setdefault(member, place))
    automatic = [pair for pair in pairs if pair.automatic]
    for pair in automatic:
        parent[root(pair.left)] = root(pair.right)
    together: dict[int, Company] = {}
    for place in range(len(parent)):
        together.setdefault(root(place), ([], []))[0].append(place)
    for pair in automatic:
        together[root(pair.left)][1].append(pair)
    return [company for company in together.values() if len(company[0]) > 1]


def _contradictions(judge: Judge, companies: Iterable[list[int]]) -> Contradicts:
    lefts, rights = [], []
    for places in companies:
        if len(places) <= _WHOLE:
            for one, other in combinations(places, 2):
                lefts.append(one)
                rights.append(other)
    left, right = np.array(lefts, np.int64), np.array(rights, np.int64)
    two = judge.contradictions(left, right) if len(left) else np.empty(0, bool)
    known = {
        (min(a, b), max(a, b)) for a, b, differ in zip(lefts, rights, two, strict=True) if differ
    }
    whole = {place for places in companies if len(places) <= _WHOLE for place in places}

    @cache
    def asked(one: int, other: int) -> bool:
        return bool(judge.contradictions(np.array([one]), np.array([other]))[0])

    def contradicts(one: int, other: int) -> bool:
        low, high = min(one, other), max(one, other)
        return (low, high) in known if low in whole else asked(low, high)

    return contradicts


def _settle(
    judge: Judge, links: Links, places: list[int], own: list[Pair], contradicts: Contradicts
) -> Settled:
    accounts = judge.sheet.accounts
    by_member = _grouped(places, lambda place: links.member.get(accounts[place], -place))
    automatic = {(min(pair.left, pair.right), max(pair.left, pair.right)) for pair in own}
    return settle(
        places,
        [Edge(pair.left, pair.right, pair.bits) for pair in own],
        rank=judge.rank,
        fixed=_fixed(judge, links, places),
        standing=list(by_member.values()),
        contradicts=contradicts,
        rivals=lambda a, b: (min(a, b), max(a, b)) not in automatic and judge.differ(a, b),
        forbidden=lambda a, b: (
            judge.second_account(a, b) or links.are_apart(accounts[a], accounts[b])
        ),
        in_view=lambda a, b: (min(a, b), max(a, b)) in automatic or judge.both_show(a, b),
    )


def _fixed(judge: Judge, links: Links, places: list[int]) -> list[list[int]]:
    """Accounts that are together whatever they say: by staff, or by what is not to be seen here."""
    accounts = judge.sheet.accounts
    by_birth = _grouped(places, lambda place: links.born.get(accounts[place], -place))
    fixed = _by_what_is_not_seen(judge, by_birth.values())
    for born_together in by_birth.values():
        kept = [place for place in born_together if accounts[place] in links.kept]
        fixed.append([born_together[0], *kept])
    for low, high in links.one_person_among(by_birth):
        fixed.append([*by_birth[low], *by_birth[high]])
    return fixed


def _by_what_is_not_seen(judge: Judge, births: Iterable[list[int]]) -> list[list[int]]:
    """Accounts of a birth that show no identifier in common, one of each such group.

    Real time linked them by one. They no longer show it, or it was a code that the person had with
    them: nothing here can say that it was wrong.
    """
    return [[group[0] for group in _connected(birth, judge.both_showed)] for birth in births]


def _connected(places: list[int], tied: Callable[[int, int], bool]) -> list[list[int]]:
    groups: list[list[int]] = []
    for place in places:
        near = [group for group in groups if any(tied(place, other) for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append(sorted([place, *(other for group in near for other in group)]))
    return sorted(groups)


def _grouped(places: Iterable[int], key: Callable[[int], int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for place in places:
        found.setdefault(key(place), []).append(place)
    return found


Part = tuple[int, list[int]]
"""A group's number, and those of its accounts that are one member now."""


def _parts(judge: Judge, links: Links, settled: Settled) -> Iterator[Part]:
    accounts = judge.sheet.accounts
    for number, group in enumerate(settled.groups):
        member = {place: links.member.get(accounts[place], -place) for place in group}
        for _, some in groupby(sorted(group, key=member.__getitem__), key=member.__getitem__):
            yield number, sorted(some)


def _splits(judge: Judge, links: Links, parts: Sequence[Part]) -> Iterator[Step]:
    """Who leaves a member: all that are not with its oldest account."""
    accounts = judge.sheet.accounts
    by_member: dict[int, list[list[int]]] = {}
    for _, places in parts:
        member = links.member.get(accounts[places[0]])
        if member is not None:
            by_member.setdefault(member, []).append(places)
    for several in by_member.values():
        staying, *leaving = sorted(several, key=lambda places: accounts[places[0]])
        for places in leaving:
            named = (*(accounts[place] for place in places), accounts[staying[0]])
            yield Step("split", named, None, {})


def _merges(
    judge: Judge, parts: Sequence[Part], settled: Settled, own: Sequence[Pair]
) -> Iterator[Step]:
    """The edges, strongest first, along which members become one."""
    accounts = judge.sheet.accounts
    part = {place: number for number, (_, places) in enumerate(parts) for place in places}
    joined = {number: {number} for number in range(len(parts))}
    pairs = {(pair.left, pair.right): pair for pair in own}
    for edge in settled.united:
        one, other = joined[part[edge.left]], joined[part[edge.right]]
        if one is not other:
            one |= other
            for number in other:
                joined[number] = one
            pair = pairs[edge.left, edge.right]
            named = accounts[edge.left], accounts[edge.right]
            yield Step("merge", named, pair.bits, evidence(pair, judge.scorer))
