"""How the price of what issuers sold in a period was shared between goods and points."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.movements import Allocation
from hub.accounting.policies import AccountingPolicy, in_force, policies
from hub.accounting.reckon import Allocated
from hub.accounting.standing import Standing, standing, summed
from hub.settlement.netting import round_to_minor

_AMOUNTS = ("price", "to_points", "refunded", "refunded_to_points")


async def allocations(db: AsyncConnection, *, period_id: int) -> list[Allocation]:
    """Return a closed period's allocations, by issuer, owner and unit.

    Of a period that is not recognised yet they are what recognition would say now. Raises what
    `hub.accounting.reckon.reckon` raises, and NotFound.
    """
    return allocated(await standing(db, period_id=period_id), await policies(db))


def allocated(
    found: Standing, versions: Mapping[tuple[int, int], Sequence[AccountingPolicy]]
) -> list[Allocation]:
    """Return the allocations of a period, by the roles that policies say."""
    by_issuer: dict[tuple[int, int, int, str, str], list[Allocated]] = defaultdict(list)
    for of, one in found.allocated:
        policy = in_force(versions, issuer_id=of.issuer_id, unit=of.unit, cohort=of.cohort)
        role = "principal" if policy is None else policy.role
        key = (of.issuer_id, of.owner_id, of.unit, of.currency, role)
        by_issuer[key].append(one)
    made = []
    for key, shares in sorted(by_issuer.items()):
        issuer_id, owner_id, unit, currency, role = key
        price, to_points, refunded, refunded_to_points = (
            summed([getattr(share, name) for share in shares]) for name in _AMOUNTS
        )
        made.append(
            Allocation(
                period_id=found.period.period_id,
                issuer_id=issuer_id,
                owner_id=owner_id,
                unit=unit,
                currency=currency,
                role=role,
                points=sum(share.points for share in shares),
                clawed_back=sum(share.clawed_back for share in shares),
                price=price,
                to_points=to_points,
                refunded=refunded,
                refunded_to_points=refunded_to_points,
                price_minor=round_to_minor(price, currency),
                to_points_minor=round_to_minor(to_points, currency),
                refunded_minor=round_to_minor(refunded, currency),
                refunded_to_points_minor=round_to_minor(refunded_to_points, currency),
            )
        )
    return made
