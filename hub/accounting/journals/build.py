"""Build journals: a period's movements and totals become lines that balance. Pure.

Every amount is written as a pair of accounts, so that what happened balances by itself, whatever
was rounded before.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from hub.accounting.journals.lines import Draft, Line, Moved
from hub.accounting.movements import MovementKind
from hub.programme.chart import Purpose
from hub.settlement.codes import LineKind
from hub.settlement.queries import Total

# Against what a movement of the contract liability is booked.
_AGAINST = {
    MovementKind.BROUGHT_IN: Purpose.OPENING_BALANCE,
    MovementKind.DEFERRED: Purpose.GOODS_REVENUE,
    MovementKind.REDEEMED: Purpose.POINTS_REVENUE,
    MovementKind.REINSTATED: Purpose.POINTS_REVENUE,
    MovementKind.EXPIRED: Purpose.BREAKAGE_REVENUE,
    MovementKind.CLAWBACK: Purpose.GOODS_REVENUE,
    MovementKind.CATCH_UP: Purpose.CATCH_UP_REVENUE,
    MovementKind.BREAKAGE: Purpose.BREAKAGE_REVENUE,
    MovementKind.ADJUSTED: Purpose.POINTS_GRANTED,
}
# What a line is for whom it costs, and for whom it pays.
_SIDES = {
    LineKind.REDEMPTION: (Purpose.REDEMPTION_COST, Purpose.PARTNER_REVENUE),
    LineKind.CAP: (Purpose.REDEMPTION_COST, Purpose.PARTNER_REVENUE),
    LineKind.ISSUE: (Purpose.POINTS_PURCHASED, Purpose.POINTS_SOLD),
    LineKind.BENEFIT: (Purpose.BENEFIT_COST, Purpose.BENEFIT_REVENUE),
    LineKind.VOUCHER: (Purpose.VOUCHER_COST, Purpose.VOUCHER_REVENUE),
    LineKind.BREAKAGE: (Purpose.BREAKAGE_REVENUE, Purpose.BREAKAGE_REVENUE),
    LineKind.PREFUND: (Purpose.PREFUND_PAID, Purpose.PREFUND_HELD),
    LineKind.PREFUND_DRAW: (Purpose.PREFUND_PAID, Purpose.PREFUND_HELD),
    LineKind.PLAN: (Purpose.PLAN_COLLECTED, Purpose.PLAN_REVENUE),
    LineKind.COMMISSION: (Purpose.COMMISSION_COST, Purpose.COMMISSION_REVENUE),
    LineKind.CORRECTION: (Purpose.CORRECTION_COST, Purpose.CORRECTION_REVENUE),
}
_PAID_FOR = (Purpose.GOODS_REVENUE, Purpose.POINTS_GRANTED, Purpose.OPENING_BALANCE)
# What it costs an agent comes off its revenue: off the points', or, where it buys the points that
# it issues, off the goods'.
_OF_AN_AGENT = {
    Purpose.REDEMPTION_COST: Purpose.AGENCY_REVENUE,
    Purpose.POINTS_PURCHASED: Purpose.GOODS_REVENUE,
}
ELSEWHERE = "_elsewhere"
PAYABLE, RECEIVABLE = "_payable", "_receivable"


def build(
    *,
    moved: Sequence[Moved],
    totals: Sequence[Total],
    entities: Mapping[int, int],
    agents: Collection[int],
) -> list[Draft]:
    """Return the journals of a period, by legal entity and currency; those without lines are none.

    `entities` are the legal entities of businesses, `agents` those that are no principal in what
    others supply for points: partners that take them, or the company that sells them. What
    two businesses of one legal entity owe each other is nothing in its books, and what was carried
    over from an earlier period is in them already.
    """
    lines: dict[tuple[int, str], list[Line]] = defaultdict(list)
    for movement in moved:
        owner = entities[movement.owner_id]
        sold = owner != entities[movement.issuer_id]
        agent = movement.owner_id in agents
        lines[owner, movement.currency].extend(_of_liability(movement, sold=sold, agent=agent))
    for total in totals:
        debtor, creditor = entities[total.debtor_id], entities[total.creditor_id]
        if debtor == creditor or total.kind == LineKind.CARRIED:
            continue
        lines[debtor, total.currency].extend(_owing(total, agent=total.debtor_id in agents))
        lines[creditor, total.currency].extend(_owed(total))
    drafts = (
        Draft(legal_entity_id=entity_id, currency=currency, lines=tuple(_merged(found)))
        for (entity_id, currency), found in sorted(lines.items())
    )
    return [draft for draft in drafts if draft.lines]


def _of_liability(moved: Moved, *, sold: bool, agent: bool) -> Iterator[Line]:
    """Return what a movement is against, and the liability."""
    against = _AGAINST[moved.kind]
    if sold and against in _PAID_FOR:
        # The goods, or whatever else points were given for, were the issuer's, which paid for them.
        against = Purpose.POINTS_SOLD
    own = (
        moved.kind.value,
        against,
        moved.points - moved.elsewhere_points,
        moved.minor - moved.elsewhere_minor,
    )
    elsewhere = (
        moved.kind.value + ELSEWHERE,
        Purpose.AGENCY_REVENUE if agent else against,
        moved.elsewhere_points,
        moved.elsewhere_minor,
    )
    for event, purpose, points, minor in (own, elsewhere):
        yield from _balanced(
            event,
            moved.owner_id,
            points,
            [(purpose, minor), (Purpose.CONTRACT_LIABILITY, -minor)],
        )


def _owing(total: Total, *, agent: bool) -> Iterator[Line]:
    """Return what a total costs its debtor."""
    cost, _ = _SIDES[LineKind(total.kind)]
    if agent:
        cost = _OF_AN_AGENT.get(cost, cost)
    yield from _balanced(
        LineKind(total.kind).name.lower() + PAYABLE,
        total.debtor_id,
        total.points,
        [
            (cost, total.net_minor),
            (Purpose.INPUT_TAX, total.tax_minor),
            (Purpose.PAYABLE, -total.gross_minor),
        ],
        counterparty_id=total.creditor_id,
        tax_code=total.tax_code,
    )


def _owed(total: Total) -> Iterator[Line]:
    """Return what a total brings its creditor."""
    _, revenue = _SIDES[LineKind(total.kind)]
    yield from _balanced(
        LineKind(total.kind).name.lower() + RECEIVABLE,
        total.creditor_id,
        total.points,
        [
            (Purpose.RECEIVABLE, total.gross_minor),
            (revenue, -total.net_minor),
            (Purpose.OUTPUT_TAX, -total.tax_minor),
        ],
        counterparty_id=total.debtor_id,
        tax_code=total.tax_code,
    )


def _balanced(
    event: str,
    business_id: int,
    points: int,
    amounts: Sequence[tuple[Purpose, int]],
    *,
    counterparty_id: int | None = None,
    tax_code: str | None = None,
) -> Iterator[Line]:
    """Return lines of amounts that sum to zero: debits are positive. What is nothing is no line."""
    for purpose, minor in amounts:
        if minor:
            yield Line(
                event=event,
                purpose=purpose,
                business_id=business_id,
                counterparty_id=counterparty_id,
                tax_code=tax_code,
                points=points,
                debit_minor=max(minor, 0),
                credit_minor=max(-minor, 0),
            )


def _merged(lines: Sequence[Line]) -> Iterator[Line]:
    """Return one line for what differs in nothing but amounts, in the order they came in."""
    found: dict[tuple[object, ...], list[Line]] = defaultdict(list)
    for line in lines:
        found[
            line.event, line.purpose, line.business_id, line.counterparty_id, line.tax_code
        ].append(line)
    for same in found.values():
        minor = sum(line.signed_minor for line in same)
        if minor:
            yield replace(
                same[0],
                points=sum(line.points for line in same),
                debit_minor=max(minor, 0),
                credit_minor=max(-minor, 0),
            )
