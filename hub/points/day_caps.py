"""Daily caps: how much of what sales earn a member may still be granted on their business date.

First come, first served: a cap that is used up leaves nothing for a sale that arrives later,
whenever it was made. Refunds give no room back.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.points.sale import Sale
from hub.programme.earning import Earning, capped
from hub.programme.queries import terms
from hub.programme.rule import EarningRule
from hub.programme.steps import StepKind


class _Day(NamedTuple):
    """What a cap is counted by, in the order in which its rows are locked."""

    member_id: int
    business_id: int
    business_date: date
    unit: int


_DAYS = """unnest(CAST(:member_id AS bigint[]), CAST(:business_id AS smallint[]),
  CAST(:business_date AS date[]), CAST(:unit AS smallint[])"""

# Writing nothing to a row that is there locks it, and reads what was committed meanwhile.
_LOCK = text(f"""
INSERT INTO earn_cap (member_id, business_id, business_date, unit, points)
SELECT m, b, d, u, 0 FROM {_DAYS}) AS x(m, b, d, u) ORDER BY m, b, d, u
ON CONFLICT (member_id, business_id, business_date, unit) DO UPDATE SET points = earn_cap.points
RETURNING member_id, business_id, business_date, unit, points
""")  # noqa: S608 - constants of ours
_GRANT = text(f"""
UPDATE earn_cap c SET points = c.points + x.n
FROM {_DAYS}, CAST(:points AS bigint[])) AS x(m, b, d, u, n)
WHERE c.member_id = x.m AND c.business_id = x.b AND c.business_date = x.d AND c.unit = x.u
""")  # noqa: S608 - constants of ours
_KNOWN = text("""
SELECT t.business_id, t.idempotency_key
FROM unnest(CAST(:businesses AS smallint[]), CAST(:keys AS text[]))
  AS k (business_id, idempotency_key)
JOIN ledger_transaction t USING (business_id, idempotency_key)
""")


async def within_day_caps(
    db: AsyncConnection,
    sales: Sequence[Sale],
    rules: Sequence[EarningRule],
    earnings: Sequence[Earning],
) -> list[Earning]:
    """Return `earnings` cut to what their rules' daily caps leave, and count it as granted.

    Within a batch, by when the sales occurred. The rows are locked by member before anything of
    the ledger is, and read behind the lock: a sale that was posted meanwhile is left as it is and
    counts once.
    """
    found = list(earnings)
    days = _capped_days(sales, rules)
    if not days:
        return found
    used = await _lock(db, days.values())
    known = await _known(db, [sales[i] for i in days])
    granted: dict[_Day, int] = {}
    for i in sorted(days, key=lambda i: (sales[i].occurred_at, sales[i].idempotency_key)):
        cap = rules[i].cap_per_day
        if cap is None or sales[i].key in known:
            continue
        day = days[i]
        room = max(0, cap - used[day] - granted.get(day, 0))
        found[i] = capped(found[i], room, cap=cap, kind=StepKind.CAP_PER_DAY)
        granted[day] = granted.get(day, 0) + found[i].points
    granted = {day: points for day, points in granted.items() if points}
    if granted:
        facts = {**_columns(list(granted)), "points": list(granted.values())}
        await db.execute(_GRANT, facts)
    return found


async def lock_day_caps(db: AsyncConnection, *, sales: Sequence[Sale]) -> None:
    """Lock what `within_day_caps` will: for who locks balances before these sales earn."""
    in_force = await terms(db)
    rules = [in_force.rule(sale.business_id, sale.occurred_at) for sale in sales]
    days = _capped_days(sales, rules)
    if days:
        await _lock(db, days.values())


def _capped_days(sales: Sequence[Sale], rules: Sequence[EarningRule]) -> dict[int, _Day]:
    """Return by which day each sale is counted that a daily cap binds, by its place."""
    return {
        i: _Day(sale.member_id, sale.business_id, sale.business_date, rule.unit)
        for i, (sale, rule) in enumerate(zip(sales, rules, strict=True))
        if rule.cap_per_day is not None
    }


async def _lock(db: AsyncConnection, days: Iterable[_Day]) -> dict[_Day, int]:
    """Lock the days, and return what was granted on each."""
    return {
        _Day(row.member_id, row.business_id, row.business_date, row.unit): row.points
        for row in await db.execute(_LOCK, _columns(sorted(set(days))))
    }


async def _known(db: AsyncConnection, sales: Sequence[Sale]) -> set[tuple[int, str]]:
    """Return the keys of the sales that were posted before."""
    facts = {
        "businesses": [sale.business_id for sale in sales],
        "keys": [sale.idempotency_key for sale in sales],
    }
    return {(row.business_id, row.idempotency_key) for row in await db.execute(_KNOWN, facts)}


def _columns(days: Sequence[_Day]) -> dict[str, list[object]]:
    return {name: [getattr(day, name) for day in days] for name in _Day._fields}
