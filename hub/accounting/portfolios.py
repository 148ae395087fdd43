"""Portfolios: which points are recognised together. Pure.

Under IFRS 15, 4 contracts alike may be accounted for as one. Points are so by the month in which
they were earned or, where the policy says so, all together from the day that it holds from: an
estimate is then of all of them, and one month's points stand in for another's that have ended.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from hub.accounting.movements import MovementKind
from hub.accounting.policies import AccountingPolicy, in_force
from hub.accounting.recognition import CohortFlow
from hub.accounting.sales import CohortKey, Sale, sold

Versions = Mapping[tuple[int, int], Sequence[AccountingPolicy]]


def portfolio(cohort: CohortKey, *, versions: Versions, agreed: Sequence[Sale]) -> CohortKey:
    """Return what a cohort is recognised with: itself, or all of its policy, by that one's month.

    What was sold at issue is by month: it has a price of its own.
    """
    issuer_id, unit, month = cohort
    policy = in_force(versions, issuer_id=issuer_id, unit=unit, cohort=month)
    if policy is None or policy.portfolio == "month":
        return cohort
    months: tuple[date, ...] = (month, policy.effective_from)
    if any(sold(agreed, issuer_id=issuer_id, cohort=one) for one in months):
        return cohort
    return issuer_id, unit, policy.effective_from


def pooled(
    flows: Mapping[CohortKey, CohortFlow], *, versions: Versions, agreed: Sequence[Sale]
) -> dict[CohortKey, CohortFlow]:
    """Return the flows of cohorts by what they are recognised with."""
    together: dict[CohortKey, list[CohortFlow]] = defaultdict(list)
    for cohort, flow in flows.items():
        together[portfolio(cohort, versions=versions, agreed=agreed)].append(flow)
    return {key: found[0] if len(found) == 1 else _sum(found) for key, found in together.items()}


def _sum(flows: Sequence[CohortFlow]) -> CohortFlow:
    return CohortFlow(
        points=_added([flow.points for flow in flows]),
        partner=_added([flow.partner for flow in flows]),
        price=sum((flow.price for flow in flows), Decimal(0)),
        refunded=sum((flow.refunded for flow in flows), Decimal(0)),
        given=sum(flow.given for flow in flows),
        given_cost=sum((flow.given_cost for flow in flows), Decimal(0)),
        brought_cost=sum((flow.brought_cost for flow in flows), Decimal(0)),
    )


def _added(points: Sequence[Mapping[MovementKind, int]]) -> dict[MovementKind, int]:
    total: dict[MovementKind, int] = defaultdict(int)
    for one in points:
        for kind, n in one.items():
            total[kind] += n
    return {kind: n for kind, n in total.items() if n}
