"""Which pairs of accounts are one person by themselves, which a person should look at. Pure.

A pair is *automatic* in two ways, and never while a veto stands:

- by weight: at least 10 bits, and a whole birthday or a verified ID document on both sides;
- by an identifier that both have verified, as real time links: the same phone shown within 90 days
  of each other, or the same email, document, unionid, openid or loyalty number; no document or
  unionid that differs, no name that contradicts, and no other phone unless they are called alike.

Two accounts of one business are never automatic. What weighs 4 bits or more and is not automatic
is for *review*; below that the queue would drown in pairs of strangers.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hub.connector import HintType
from hub.members.batch.reading import IDENTIFYING, Sheet
from hub.members.matching.columns import Field
from hub.members.matching.comparing import Levels
from hub.members.matching.population import Marker, PopulationScorer
from hub.members.matching.scoring import Flags
from hub.members.matching.weights import Level, Veto
from hub.members.names import contradicts
from hub.members.people import STALE_AFTER

AUTOMATIC_BITS = 10.0
REVIEW_BITS = 4.0
_CHUNK = 500_000
_TWO_PEOPLE = np.uint8(Veto.DOCUMENT | Veto.BIRTHDAY)
# Of these a person has one at a time.
_EXCLUSIVE = (HintType.PHONE, HintType.UNIONID, HintType.ID_DOCUMENT_HASH)

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two accounts, by their places in the sheet, weighed. `shares` and `levels` are by field."""

    left: int
    right: int
    bits: float
    vetoes: int
    automatic: bool
    shown: tuple[HintType, ...]
    shares: tuple[float, ...]
    levels: tuple[int, ...]


class Judge:
    """Judges pairs of the accounts of one sheet."""

    def __init__(self, sheet: Sheet, scorer: PopulationScorer, marker: Marker) -> None:
        self.sheet, self.scorer = sheet, scorer
        self._marks = {hint: sheet.marks(hint, marker) for hint in IDENTIFYING}
        self._phone_days = np.array(sheet.phone_days, np.int64)
        self._businesses = np.array(sheet.businesses, np.int64)
        self._walk_ins = np.array(sheet.walk_ins, bool)

    def pairs(self, pairs: Positions) -> Iterator[Pair]:
        """Yield those of the pairs that are automatic or for review."""
        for start in range(0, len(pairs), _CHUNK):
            left, right = pairs[start : start + _CHUNK].T
            yield from self._weighed(left, right, REVIEW_BITS)

    def weigh(self, one: int, other: int) -> Pair:
        """Weigh two accounts, whatever comes of it."""
        [pair] = self._weighed(np.array([one]), np.array([other]), -np.inf)
        return pair

    def _weighed(self, left: Positions, right: Positions, at_least: float) -> Iterator[Pair]:
        """Yield the pairs of so many bits, and those that are automatic with less."""
        rows = self.scorer.table.rows
        scored = self.scorer.score(rows[left].astype(np.int32), rows[right].astype(np.int32))
        bits, vetoes = scored.bits, scored.vetoes
        apart = self._businesses[left] != self._businesses[right]
        apart |= self._walk_ins[left] | self._walk_ins[right]
        told = self._told[left] & self._told[right]
        by_weight = (bits >= AUTOMATIC_BITS) & (vetoes == 0) & told & apart
        shown = {hint: self._both_showed(hint, left, right) for hint in IDENTIFYING}
        by_shown = np.logical_or.reduce(list(shown.values())) & (vetoes & _TWO_PEOPLE == 0) & apart
        by_shown &= self._called_alike(scored.levels) | ~self._showed_others(
            HintType.PHONE, left, right
        )
        for hint in (HintType.UNIONID, HintType.ID_DOCUMENT_HASH):
            by_shown &= ~self._showed_others(hint, left, right)
        for k in np.flatnonzero(by_shown).tolist():
            by_shown[k] = not self._names_contradict(int(left[k]), int(right[k]))
        automatic = by_weight | by_shown
        kept = np.flatnonzero(automatic | (bits >= at_least))
        shares = self.scorer.shares(scored.left[kept], scored.right[kept], scored.levels[kept])
        for place, k in enumerate(kept.tolist()):
            yield Pair(
                left=int(left[k]),
                right=int(right[k]),
                bits=round(float(bits[k]), 6),
                vetoes=int(vetoes[k]),
                automatic=bool(automatic[k]),
                shown=tuple(hint for hint, both in shown.items() if both[k]),
                shares=tuple(np.round(shares[place], 3).tolist()),
                levels=tuple(scored.levels[k].tolist()),
            )

    def place_of(self, account_id: int) -> int:
        """Return where an account is in the sheet."""
        return bisect_left(self.sheet.accounts, account_id)

    def accounts_of(self, pair: Pair) -> tuple[int, int]:
        """Return the numbers of a pair's accounts, the lower one first."""
        one, other = self.sheet.accounts[pair.left], self.sheet.accounts[pair.right]
        return min(one, other), max(one, other)

    def contradictions(self, left: Positions, right: Positions) -> Flags:
        """Say of each pair whether it is two people: by document, birthday, unionid or name."""
        rows = self.scorer.table.rows
        scored = self.scorer.score(rows[left].astype(np.int32), rows[right].astype(np.int32))
        two = (scored.vetoes & _TWO_PEOPLE != 0) | self._showed_others(
            HintType.UNIONID, left, right
        )
        # A slip of the pen contradicts for whoever decides on the spot; here the rest is known.
        for k in np.flatnonzero(~two & (scored.vetoes & np.uint8(Veto.NAME) != 0)).tolist():
            two[k] = self._names_contradict(int(left[k]), int(right[k]))
        return np.asarray(two)

    def second_account(self, one: int, other: int) -> bool:
        """Say whether two accounts are records of one business."""
        same = self.sheet.businesses[one] == self.sheet.businesses[other]
        return same and not (self.sheet.walk_ins[one] or self.sheet.walk_ins[other])

    def rank(self, place: int) -> tuple[Any, ...]:
        """Order accounts by what they say of themselves; among numbers the smaller comes first."""
        external = self.sheet.externals[place]
        if self.sheet.walk_ins[place]:  # its id is the hub's own, and says when it came
            return self.sheet.businesses[place], 1, 0, "", self.sheet.changed_marks[place]
        return self.sheet.businesses[place], 0, len(external), external, 0

    def differ(self, one: int, other: int) -> bool:
        """Say whether two accounts verified different ones of what a person has one of."""
        left, right = np.array([one]), np.array([other])
        return any(bool(self._showed_others(hint, left, right)[0]) for hint in _EXCLUSIVE)

    def both_showed(self, one: int, other: int) -> bool:
        """Say whether two accounts have verified an identifier in common, whenever."""
        return any(marks[one] != 0 and marks[one] == marks[other] for marks in self._marks.values())

    def both_show(self, one: int, other: int) -> bool:
        """Say whether two accounts have one in common that is nobody else's by now."""
        left, right = np.array([one]), np.array([other])
        return any(bool(self._both_showed(hint, left, right)[0]) for hint in IDENTIFYING)

    def _called_alike(self, levels: Levels) -> Flags:
        fields = self.scorer.model.fields
        given, surname = (fields.index(one) for one in (Field.GIVEN_NAME, Field.SURNAME))
        return np.asarray(np.minimum(levels[:, given], levels[:, surname]) >= Level.NEAR)

    @cached_property
    def _told(self) -> Flags:
        """Whose birthday, with its year, or verified document is known."""
        found = self._marks[HintType.ID_DOCUMENT_HASH] != 0
        born = self.scorer.table.features.get(Field.BIRTHDAY)
        if born is not None and len(born.values):
            whole = np.array([not v.startswith("0000") for v in born.values] + [False])
            found |= whole[born.codes][self.scorer.table.rows]
        return np.asarray(found)

    def _both_showed(self, hint: HintType, left: Positions, right: Positions) -> Flags:
        marks = self._marks[hint]
        both = (marks[left] != 0) & (marks[left] == marks[right])
        if hint is HintType.PHONE:
            both &= self._near_in_time(left, right)
        return np.asarray(both)

    def _showed_others(self, hint: HintType, left: Positions, right: Positions) -> Flags:
        """Whether two accounts showed different ones of a kind that a person has one of."""
        marks = self._marks[hint]
        differ = (marks[left] != 0) & (marks[right] != 0) & (marks[left] != marks[right])
        if hint is HintType.PHONE:
            differ &= self._near_in_time(left, right)
        return np.asarray(differ)

    def _near_in_time(self, left: Positions, right: Positions) -> Flags:
        days = np.abs(self._phone_days[left] - self._phone_days[right])
        return np.asarray(days <= STALE_AFTER.days)

    def _names_contradict(self, one: int, other: int) -> bool:
        names = self.sheet.said[HintType.NAME]
        a, b = names[one], names[other]
        return a is not None and b is not None and a != b and contradicts(a, b)


def evidence(pair: Pair, scorer: PopulationScorer) -> dict[str, Any]:
    """Return why a pair weighs what it does: levels and bits by field, and no value of anybody."""
    weights = [
        {"field": one.value, "level": Level(level).name.lower(), "weight": share}
        for one, level, share in zip(scorer.model.fields, pair.levels, pair.shares, strict=True)
        if level != Level.MISSING
    ]
    return {
        "score": round(pair.bits, 3),
        "base": base_bits(pair),
        "weights": sorted(weights, key=lambda one: -float(one["weight"])),
        "vetoes": list(veto_names(pair.vetoes)),
        "verified_by_both": [hint.value for hint in pair.shown],
    }


def base_bits(pair: Pair) -> float:
    """Return what a pair weighs before anything is known of it: two accounts are seldom one's."""
    return round(pair.bits - sum(pair.shares), 3)


def veto_names(vetoes: int) -> tuple[str, ...]:
    """Return the names of what forbids a pair."""
    return tuple((veto.name or "").lower() for veto in Veto if vetoes & veto)
