"""The best lawful combination of offers: what saves the member most.

Offers are applied stage by stage; within a stage, those with fewer lines in scope first. Of two
combinations that save the same the one of fewer offers wins, then the one whose offers end sooner,
then by source and code: the same question has the same answer.

The search takes or leaves one offer after another and gives up a branch that cannot win any more:
no offer takes more after others than alone. It looks at MOST_STEPS choices at most, which is enough
to be exact for any twelve offers and, as a rule, for many more; where it is not, the answer is the
best of what was seen, never worse than taking offers by what they save alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hub.benefits.quoting.offers import Offer, Stacking
from hub.benefits.quoting.stages import Amounts, Cut, Till, Trial

MOST_STEPS = 10_000
FREELY = Stacking()
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Combination:
    """Offers in the order in which they are applied, with what each takes off.

    `refused` took nothing where their turn came. `exact` is False where the search ended before it
    had seen all that could have won.
    """

    applied: tuple[tuple[Offer, Cut], ...]
    saving_minor: int
    exact: bool = True
    refused: tuple[tuple[Offer, Cut], ...] = ()

    @property
    def rank(self) -> tuple[object, ...]:
        """What the best has least of."""
        offers = [offer for offer, _ in self.applied]
        return (
            -self.saving_minor,
            len(offers),
            sorted(offer.ends_at or _NEVER for offer in offers),
            sorted(offer.name for offer in offers),
        )


def combine(
    till: Till,
    trials: Sequence[Trial],
    *,
    required: frozenset[int] = frozenset(),
    stacking: Stacking = FREELY,
) -> Combination | None:
    """Return the best combination of `trials`, with all whose places are `required` in it.

    None: these cannot be used together.
    """
    return _Search(till, trials, required, stacking).run()


def apply_in_order(till: Till, trials: Sequence[Trial]) -> Combination:
    """Apply offers one after another, which are in order; one that takes nothing is left out."""
    amounts = base = till.start
    stage = None
    applied: list[tuple[Offer, Cut]] = []
    refused: list[tuple[Offer, Cut]] = []
    for trial in trials:
        if trial.terms.stage is not stage:
            stage, base = trial.terms.stage, amounts
        cut = trial.cut(amounts, base)
        if cut.total_minor:
            amounts = _less(amounts, cut)
            applied.append((trial.offer, cut))
        else:
            refused.append((trial.offer, cut))
    saving = sum(till.start) - sum(amounts)
    return Combination(tuple(applied), saving, refused=tuple(refused))


def order_of(trial: Trial) -> tuple[object, ...]:
    """Return by what offers are put in the order in which they are applied."""
    offer = trial.offer
    return (trial.terms.stage, len(trial.scope), offer.ends_at or _NEVER, offer.name)


def beside(one: Trial, other: Trial, stacking: Stacking = FREELY) -> bool:
    """Say whether two offers may be used together."""
    if one.terms.exclusive or other.terms.exclusive:
        return False
    if one.terms.benefit is not other.terms.benefit and not stacking.vouchers_with_benefits:
        return False
    return one.terms.group is None or one.terms.group != other.terms.group


class _Search:
    """Depth first, taking before leaving, within bounds; see the module."""

    def __init__(
        self, till: Till, trials: Sequence[Trial], required: frozenset[int], stacking: Stacking
    ) -> None:
        self.till = till
        self.stacking = stacking
        self.required = {trials[place].offer.name for place in required}
        useful = [one for one in trials
                  if one.alone.total_minor or one.offer.name in self.required]  # fmt: skip
        useful.sort(key=order_of)
        self.solitary = [one for one in useful if one.terms.exclusive]
        self.order = [one for one in useful if not one.terms.exclusive]
        self.must = [one.offer.name in self.required for one in self.order]
        self.twin = self._twins()
        self.most_after = self._bounds()
        self.best: Combination | None = None
        self.steps = 0

    def run(self) -> Combination | None:
        for one in self.solitary:
            if not self._fits(one, []):
                continue
            self._offer(apply_in_order(self.till, [one]))
        self._offer(self._greedy())
        self._visit(0, self.till.start, self.till.start, 0, [])
        if self.best is None or self.steps <= MOST_STEPS:
            return self.best
        return Combination(self.best.applied, self.best.saving_minor, exact=False)

    def _twins(self) -> list[int | None]:
        """Return for each offer the one before it with the same terms: the latter goes first."""
        last: dict[object, int] = {}
        twins: list[int | None] = []
        for place, one in enumerate(self.order):
            alike = (one.terms, self.must[place])
            twins.append(last.get(alike))
            last[alike] = place
        return twins

    def _bounds(self) -> list[int]:
        """Return for each place what the offers from there on could save at most."""
        bounds = [0]
        ungrouped, grouped = 0, dict[str, int]()
        for one in reversed(self.order):
            saving, group = one.alone.total_minor, one.terms.group
            if group is None:
                ungrouped += saving
            else:
                grouped[group] = max(grouped.get(group, 0), saving)
            bounds.append(ungrouped + sum(grouped.values()))
        return bounds[::-1]

    def _greedy(self) -> Combination:
        """Take offers by what they save alone, wherever they save more; the required ones first."""
        kept: list[Trial] = []
        best = apply_in_order(self.till, kept)
        by_saving = sorted(
            zip(self.must, self.order, strict=True),
            key=lambda pair: (not pair[0], -pair[1].alone.total_minor, order_of(pair[1])),
        )
        for must, one in by_saving:
            if not self._fits(one, kept):
                continue
            tried = apply_in_order(self.till, sorted([*kept, one], key=order_of))
            if must or tried.saving_minor > best.saving_minor:
                kept.append(one)
                best = tried
        return best

    def _offer(self, one: Combination) -> None:
        """Keep a combination if it is lawful and better."""
        if self.required and not self.required <= {offer.name for offer, _ in one.applied}:
            return
        if self.best is None or one.rank < self.best.rank:
            self.best = one

    def _visit(
        self, place: int, amounts: Amounts, base: Amounts, saving: int,
        taken: list[tuple[int, Cut]],
    ) -> None:  # fmt: skip
        self.steps += 1
        if self.steps > MOST_STEPS or not self._can_win(place, amounts, saving, len(taken)):
            return
        if place == len(self.order):
            self._offer(
                Combination(tuple((self.order[at].offer, cut) for at, cut in taken), saving)
            )
            return
        one = self.order[place]
        if place and one.terms.stage is not self.order[place - 1].terms.stage:
            base = amounts
        if self._may_take(place, taken):
            cut = one.cut(amounts, base)
            if cut.total_minor:
                taken.append((place, cut))
                self._visit(place + 1, _less(amounts, cut), base, saving + cut.total_minor, taken)
                taken.pop()
        if not self.must[place]:
            self._visit(place + 1, amounts, base, saving, taken)

    def _can_win(self, place: int, amounts: Amounts, saving: int, taken: int) -> bool:
        if self.best is None:
            return True
        most = saving + self.most_after[place]
        if most > self.best.saving_minor:
            most = saving + min(self.most_after[place], self.till.room(amounts))
        if most != self.best.saving_minor:
            return most > self.best.saving_minor
        return taken + (saving < most) <= len(self.best.applied)

    def _may_take(self, place: int, taken: Sequence[tuple[int, Cut]]) -> bool:
        twin = self.twin[place]
        before = {at for at, _ in taken}
        if twin is not None and twin not in before:
            return False
        return self._fits(self.order[place], [self.order[at] for at in before])

    def _fits(self, one: Trial, taken: Sequence[Trial]) -> bool:
        """Say whether an offer may join those that are taken."""
        vouchers = sum(not other.terms.benefit for other in taken)
        if not one.terms.benefit and vouchers >= self.stacking.most_vouchers:
            return False
        return all(beside(one, other, self.stacking) for other in taken)


def _less(amounts: Amounts, cut: Cut) -> Amounts:
    return tuple([amount - off for amount, off in zip(amounts, cut.by_line, strict=True)])
