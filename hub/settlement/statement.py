"""Statement: what a business is told about a period, as canonical JSON with its hash.

A statement depends on nothing but its period's contents. It is small: the lines themselves are
named by their digest (hub.settlement.documents.lines). CSV, XLSX and PDF are rendered from it.
"""

import hashlib
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.programme.queries import programme
from hub.settlement.documents.compose import Figures, Late, compose
from hub.settlement.documents.lines import digest_lines
from hub.settlement.documents.party import parties
from hub.settlement.documents.truth import canonical
from hub.settlement.funds import funds
from hub.settlement.queries import Period, bilaterals, net_positions, totals


async def write_statement(
    db: AsyncConnection, *, period: Period, business_id: int, now: datetime
) -> None:
    """Store a business's statement for a period whose totals stand.

    A business that had no part in it gets one that says so.
    """
    ids = [period.period_id]
    figures = Figures(
        group=(await programme(db)).name,
        period=period,
        parties=await parties(db),
        totals=(await totals(db, period_ids=ids))[period.period_id],
        pairs=(await bilaterals(db, period_ids=ids))[period.period_id],
        nets=(await net_positions(db, period_ids=ids))[period.period_id],
        late=await _late(db, period.period_id),
        funds=(await funds(db, period_ids=ids))[period.period_id],
    )
    digest = await digest_lines(db, period_id=period.period_id, business_id=business_id)
    body = canonical(compose(figures, business_id=business_id, lines_sha256=digest, stated_at=now))
    await db.execute(
        text("""
          INSERT INTO statement (period_id, business_id, body, sha256, created_at)
          VALUES (:period_id, :business_id, :body, :sha256, :now)"""),
        {
            "period_id": period.period_id,
            "business_id": business_id,
            "body": body,
            "sha256": hashlib.sha256(body).digest(),
            "now": now,
        },
    )


async def _late(db: AsyncConnection, period_id: int) -> list[Late]:
    rows = await db.execute(
        text("""
          SELECT debtor_id, creditor_id, currency, kind, count(*) AS lines,
            sum(points)::bigint AS points, sum(amount) AS exact, min(business_date) AS first_on,
            max(business_date) AS last_on
          FROM obligation WHERE period_id = :id AND late
          GROUP BY debtor_id, creditor_id, currency, kind
          ORDER BY debtor_id, creditor_id, currency, kind"""),
        {"id": period_id},
    )
    return [Late(**row._asdict()) for row in rows]
