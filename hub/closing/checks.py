"""What is looked at before a period is closed: each finds facts, or nothing amiss."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.intake import verify as intake
from hub.ledger import verify as ledger
from hub.ledger.verify import Broken
from hub.settlement import verify as settlement
from hub.settlement.life import Found
from hub.settlement.queries import Period

# What came in just now is being worked on; it is not left over.
UNDER_WAY = timedelta(seconds=60)

CheckFor = Callable[[AsyncConnection, Period, datetime], Awaitable[Found]]


async def deliveries(db: AsyncConnection, _period: Period, now: datetime) -> Found:
    """Are there deliveries that nobody has worked on yet?"""
    n = await db.scalar(
        text("SELECT count(*) FROM delivery WHERE state = 'pending' AND received_at < :before"),
        {"before": now - UNDER_WAY},
    )
    if n:
        return Found(
            code="deliveries",
            facts={"pending": n},
            says=f"{n} deliveries are not worked on yet: what they tell would come late",
        )
    return Found(code="deliveries", facts={}, says="every delivery is worked on")


async def dead_letters(db: AsyncConnection, _period: Period, _now: datetime) -> Found:
    """Are there deliveries that made no sense, or whose work failed for good?"""
    rows = await db.scalars(
        text("SELECT delivery_id FROM delivery WHERE state = 'dead' ORDER BY delivery_id")
    )
    ids = list(rows)
    if ids:
        return Found(
            code="dead_letters",
            facts={"deliveries": ids},
            says=f"{len(ids)} dead letters: mend and `hub intake replay` them, or waive them",
        )
    return Found(code="dead_letters", facts={}, says="no delivery is a dead letter")


async def refunds(db: AsyncConnection, _period: Period, _now: datetime) -> Found:
    """Are there refunds of what points paid, whose redemption nobody knows?"""
    n = await db.scalar(
        text("SELECT count(*) FROM points_paid_refund WHERE unresolved IS NOT NULL")
    )
    if n:
        return Found(
            code="refunds",
            facts={"unresolved": n},
            says=f"{n} refunds of what was paid in points name no redemption: see `hub doctor`",
        )
    return Found(code="refunds", facts={}, says="every refund of points found its redemption")


async def breaks(db: AsyncConnection, period: Period, _now: datetime) -> Found:
    """Are there breaks up to the period's end that nobody has accounted for?"""
    rows = await db.execute(
        text("""
          SELECT kind, count(*) AS n FROM reconciliation_break
          WHERE closed_at IS NULL AND day <= :ends_on GROUP BY kind ORDER BY kind"""),
        {"ends_on": period.ends_on},
    )
    found = {row.kind: row.n for row in rows}
    if found:
        told = ", ".join(f"{n} {kind}" for kind, n in found.items())
        return Found(
            code="breaks",
            facts=found,
            says=f"{sum(found.values())} breaks are open ({told}): see `hub reconcile breaks`",
        )
    return Found(code="breaks", facts={}, says="no break is open")


async def corrections(db: AsyncConnection, _period: Period, _now: datetime) -> Found:
    """Are there corrections that nobody has decided on?"""
    ids = list(
        await db.scalars(
            text("""SELECT correction_id FROM correction WHERE state = 'proposed'
              ORDER BY correction_id""")
        )
    )
    if ids:
        return Found(
            code="corrections",
            facts={"proposed": ids},
            says=f"{len(ids)} corrections are proposed and not decided: decide, or waive them",
        )
    return Found(code="corrections", facts={}, says="every correction is decided")


async def invariants(db: AsyncConnection, _period: Period, _now: datetime) -> Found:
    """Does every invariant hold over the whole database (I1 to I8)?"""
    proofs: list[tuple[str, Callable[[AsyncConnection, str], Awaitable[Broken | None]]]] = [
        *((name, ledger.check) for name in ledger.CHECKS),
        *(
            (name, settlement.check)
            for name in (settlement.PERIODS, settlement.DUES, *settlement.CHECKS)
        ),
        *((name, intake.check) for name in intake.CHECKS),
    ]
    broken = [found for name, prove in proofs if (found := await prove(db, name)) is not None]
    if broken:
        first = broken[0]
        return Found(
            code="invariants",
            facts={"broken": {one.invariant: one.detail for one in broken}},
            says=f"{len(broken)} invariants are broken, first {first.invariant}: {first.detail}",
        )
    return Found(code="invariants", facts={}, says="every invariant holds")


CHECKS: tuple[CheckFor, ...] = (
    deliveries,
    dead_letters,
    refunds,
    breaks,
    corrections,
    invariants,
)
