"""Explain: why an earn came to its points, and why a refund took back what it did.

The answer is what was kept when the points were posted, and the rule version of that day, which
nobody can edit: a rule that came later says nothing about it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import NotFound
from hub.points.queries import Basis, RefundBasis, bases, refund_bases
from hub.programme.pricing import plain_steps
from hub.programme.queries import earning_rules
from hub.programme.rule import EarningRule
from hub.programme.steps import Step, StepKind
from hub.units import Money, many


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why points came, from the bill to their number; of a clawback, why they went.

    `rule` is None when the version was not kept. `refund` is the refund that took points back;
    everything else then is about the sale that it undoes.
    """

    basis: Basis
    rule: EarningRule | None
    refund: RefundBasis | None
    steps: tuple[Step, ...]

    @property
    def points(self) -> int:
        """The points that the bill earned."""
        return sum(line.points for line in self.basis.lines)

    @property
    def qualifying(self) -> int:
        """The qualifying points that the bill earned."""
        return sum(line.qualifying for line in self.basis.lines)

    def sentences(self) -> list[str]:
        """Return the whole as plain sentences, in the order in which it was computed."""
        said = [sentence(step, self) for step in self.steps]
        if self.refund is not None:
            said += _refund_sentences(self.refund, self)
        return said


async def explain(db: AsyncConnection, *, member_id: int, tx_id: int) -> Explanation:
    """Return why a member's earn or clawback came to its points.

    Raises NotFound when the transaction is neither, or is not the member's.
    """
    found = await explanations(db, keys=[(member_id, tx_id)])
    if (member_id, tx_id) not in found:
        raise NotFound(
            f"transaction {tx_id} is no earn and no clawback of this member", field="tx_id"
        )
    return found[member_id, tx_id]


async def explanations(
    db: AsyncConnection, *, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Explanation]:
    """Return why earns and clawbacks came to their points, by `(member_id, tx_id)`.

    Transactions of other kinds are left out.
    """
    refunds = await refund_bases(db, keys=keys)
    undone = {key: (refund.member_id, refund.earn_tx) for key, refund in refunds.items()}
    earns = await bases(db, keys=list({undone.get(key, key) for key in keys}))
    rules = await earning_rules(db) if earns else {}
    found = {}
    for key in keys:
        basis = earns.get(undone.get(key, key))
        if basis is not None:
            rule = None if basis.rule_id is None else rules.get(basis.rule_id)
            found[key] = Explanation(
                basis=basis, rule=rule, refund=refunds.get(key), steps=_steps(basis, rule)
            )
    return found


def _steps(basis: Basis, rule: EarningRule | None) -> tuple[Step, ...]:
    """Return all steps: what was kept, and what follows from the bill and the rule version."""
    sold = sum(line.net for line in basis.lines)
    base = Step(
        kind=StepKind.BASE,
        value=str(Money(basis.base_minor, basis.currency)),
        reason=str(Money(sold - basis.base_minor, basis.currency))
        if sold > basis.base_minor
        else "",
    )
    plain = rule is not None and all(step.kind is not StepKind.FLOOR for step in basis.steps)
    own = (
        plain_steps(rule, base=basis.base_minor, currency=basis.currency)
        if plain and rule is not None
        else ()
    )
    return (base, *own, *basis.steps)


def sentence(step: Step, of: Explanation) -> str:
    """Say one step in words."""
    bill = of.basis.currency
    unit = bill if of.rule is None else of.rule.currency
    some = "Line" if len(step.lines) == 1 else "Lines"
    lines = f"{some} {', '.join(step.lines)}" if step.lines else "Every line"
    match step.kind:
        case StepKind.BASE:
            less = (
                f", {step.reason} {bill} having been paid by what does not" if step.reason else ""
            )
            said = f"{step.value} {bill} of the bill earns{less}."
        case StepKind.CONVERSION:
            said = f"1 {bill} counts as {step.value} {unit}: {step.reason}."
        case StepKind.RATE:
            said = (
                f"{lines}: {many(step.value, 'point')} and "
                f"{many(step.qualifying, 'qualifying point')} per {unit} ({step.reason})."
            )
        case StepKind.MULTIPLIER:
            said = f"{lines}: {step.value} times the points ({step.reason})."
        case StepKind.FLOOR:
            said = f"Together {many(step.value, 'point')}, rounded down once to {step.points}."
        case StepKind.CAP_PER_EVENT:
            said = f"A bill earns at most {many(step.value, 'point')}."
        case StepKind.CAP_PER_DAY:
            most = many(step.value, "point")
            said = f"A day earns at most {most}: {step.points} of them were left."
    return said


def _refund_sentences(refund: RefundBasis, of: Explanation) -> list[str]:
    currency = of.basis.currency
    given = Money(refund.amount_minor, currency)
    total = Money(of.basis.total_minor, currency)
    said = [
        f"A refund gave back {given} of {total} {currency} of the sale {refund.earn_tx}, which "
        f"had earned {many(of.points, 'point')} and {many(of.qualifying, 'qualifying point')}."
    ]
    if refund.earlier_points or refund.earlier_qualifying:
        said.append(
            f"Earlier refunds had made {refund.earlier_points} and {refund.earlier_qualifying} of "
            "them due."
        )
    said.append(
        f"It made {many(refund.points, 'point')} and "
        f"{many(refund.qualifying, 'qualifying point')} due, line by line in proportion to what "
        "all refunds together gave back."
    )
    return said
