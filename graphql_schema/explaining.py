"""Explaining: why an earn came to its points, and why a refund took them back."""

from datetime import datetime
from decimal import Decimal
from enum import Enum

import strawberry

from graphql_schema.fields import count
from graphql_schema.money import Money
from hub.points.explain import Explanation, sentence
from hub.points.queries import RefundBasis
from hub.programme.steps import Step, StepKind


@strawberry.type(description="A line of the bill that earned.")
class ExplainedLine:
    """One line's part; the lines' parts sum to the whole."""

    line: str = strawberry.field(description="The line's id in the business's own system.")
    net: Money = strawberry.field(description="What it sold for, after discounts, without tax.")
    base: Money = strawberry.field(
        description="What of that earned: less what was paid with points, vouchers and the like."
    )
    points: int = count("Its share of the points.")
    qualifying: int = count("Its share of the qualifying points.")


@strawberry.enum(description="What a step from a bill to its points did.")
class ExplainedStepKind(Enum):
    """The kinds of steps."""

    BASE = strawberry.enum_value(StepKind.BASE.value, description="Found what of the bill earns.")
    CONVERSION = strawberry.enum_value(
        StepKind.CONVERSION.value, description="Converted it to the business's currency."
    )
    RATE = strawberry.enum_value(StepKind.RATE.value, description="Chose the points per unit.")
    MULTIPLIER = strawberry.enum_value(
        StepKind.MULTIPLIER.value, description="Counted lines several times."
    )
    FLOOR = strawberry.enum_value(
        StepKind.FLOOR.value, description="Rounded down, once for the whole bill."
    )
    CAP_PER_EVENT = strawberry.enum_value(
        StepKind.CAP_PER_EVENT.value, description="Cut to what a bill may earn."
    )
    CAP_PER_DAY = strawberry.enum_value(
        StepKind.CAP_PER_DAY.value, description="Cut to what the day had left."
    )


@strawberry.type(description="One step from a bill to its points.")
class ExplainedStep:
    """A step, as a number and in words."""

    kind: ExplainedStepKind = strawberry.field(description="What the step did.")
    value: str = strawberry.field(
        description="Its number, exactly: a base, rate, factor, cap, or points before rounding."
    )
    lines: list[str] = strawberry.field(description="The lines it was for; none: the whole bill.")
    sentence: str = strawberry.field(description="The step in words.")

    @classmethod
    def of(cls, step: Step, explanation: Explanation) -> "ExplainedStep":
        """Show a step."""
        return cls(
            kind=ExplainedStepKind[step.kind.name],
            value=step.value,
            lines=list(step.lines),
            sentence=sentence(step, explanation),
        )


@strawberry.type(description="The refund that took points of a bill back.")
class ExplainedRefund:
    """What a clawback was computed from."""

    transaction: strawberry.ID = strawberry.field(
        description="Number of the transaction by which the refunded sale had earned."
    )
    amount: Money = strawberry.field(description="What was given back, tax included.")
    unallocated: Money = strawberry.field(description="What of that named no lines.")
    points: int = count("Points that it made due back.")
    qualifying: int = count("Qualifying points that it made due back.")
    earlier_points: int = count("Points that earlier refunds of the sale had made due back.")

    @classmethod
    def of(cls, refund: RefundBasis, currency: str) -> "ExplainedRefund":
        """Show a refund."""
        return cls(
            transaction=strawberry.ID(str(refund.earn_tx)),
            amount=Money(amount_minor=refund.amount_minor, currency=currency),
            unallocated=Money(amount_minor=refund.unallocated_minor, currency=currency),
            points=refund.points,
            qualifying=refund.qualifying,
            earlier_points=refund.earlier_points,
        )


@strawberry.type(description="Why a bill earned the points it did, or a refund took them back.")
class EarnExplanation:
    """A bill and the version of the rule it earned by: base × rate, rounded down once per bill."""

    rule_version: int | None = strawberry.field(
        description="Number of the rule's version; null when it was not kept."
    )
    effective_from: datetime | None = strawberry.field(
        description="When that version came into force."
    )
    points_per_unit: Decimal | None = strawberry.field(
        description="The rule's own rate: points per major unit of the business's currency."
    )
    exchange_rate: Decimal | None = strawberry.field(
        description="Major units of the business's currency per major unit of the bill's; null "
        "when it is the same currency."
    )
    total: Money = strawberry.field(description="What was paid, tax and tip included.")
    base: Money = strawberry.field(description="What of that earned; the lines' bases sum to it.")
    lines: list[ExplainedLine] = strawberry.field(description="The lines that earned.")
    steps: list[ExplainedStep] = strawberry.field(
        description="How the bill came to its points, step by step."
    )
    refund: ExplainedRefund | None = strawberry.field(
        description="The refund that took points back; null when the bill earned them."
    )
    sentences: list[str] = strawberry.field(description="All of it in words.")

    @classmethod
    def of(cls, explanation: Explanation) -> "EarnExplanation":
        """Show what an earn or a clawback was computed from."""
        basis, rule, refund = explanation.basis, explanation.rule, explanation.refund

        def money(minor: int) -> Money:
            return Money(amount_minor=minor, currency=basis.currency)

        return cls(
            rule_version=basis.rule_id,
            effective_from=rule.effective_from if rule else None,
            points_per_unit=rule.points_per_unit if rule else None,
            exchange_rate=basis.exchange_rate,
            total=money(basis.total_minor),
            base=money(basis.base_minor),
            lines=[
                ExplainedLine(
                    line=line.id,
                    net=money(line.net),
                    base=money(line.base),
                    points=line.points,
                    qualifying=line.qualifying,
                )
                for line in basis.lines
            ],
            steps=[ExplainedStep.of(step, explanation) for step in explanation.steps],
            refund=None if refund is None else ExplainedRefund.of(refund, basis.currency),
            sentences=explanation.sentences(),
        )
