"""How an issuer's points are accounted for: what a point is worth, and in which role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountingPolicy:
    """A version of a policy, for cohorts from `effective_from` (the first of a month) on.

    `point_value` is what a redeemed point is worth, in major units of the issuer's currency.
    `role` says how the business shows what others supply for points, its partners where it owes
    them or the company that it buys them from: as cost (principal), or off its revenue (agent).
    `goods_discount` and `least_share`: see hub.accounting.recognition.allocate. `portfolio`:
    whether points are recognised by the month that they were earned in (month) or together (all).
    """

    issuer_id: int
    unit: int
    effective_from: date
    role: str
    point_value: Decimal
    goods_discount: Decimal
    least_share: Decimal
    portfolio: str
    actor: str
    set_at: datetime


COLUMNS = """issuer_id, unit, effective_from, role, point_value, goods_discount, least_share,
  portfolio, actor, set_at"""


async def policies(db: AsyncConnection) -> dict[tuple[int, int], list[AccountingPolicy]]:
    """Return the versions of each issuer and unit, by date."""
    found: dict[tuple[int, int], list[AccountingPolicy]] = {}
    rows = await db.execute(
        text(f"SELECT {COLUMNS} FROM accounting_policy ORDER BY issuer_id, unit, effective_from")  # noqa: S608
    )
    for row in rows:
        policy = AccountingPolicy(**row._asdict())
        found.setdefault((policy.issuer_id, policy.unit), []).append(policy)
    return found


def in_force(
    versions: Mapping[tuple[int, int], Sequence[AccountingPolicy]],
    *,
    issuer_id: int,
    unit: int,
    cohort: date,
) -> AccountingPolicy | None:
    """Return the version for a cohort: the latest that had begun, else the first there is."""
    of_issuer = versions.get((issuer_id, unit), ())
    begun = [one for one in of_issuer if one.effective_from <= cohort]
    return begun[-1] if begun else next(iter(of_issuer), None)
