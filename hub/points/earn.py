"""Earn: issue points for what a member bought. A single sale is a batch of one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed
from hub.ledger.post import EarnRequest, post_earns
from hub.programme.earning import BillLine, BillTender, Earning, appraise
from hub.programme.queries import terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A completed sale or stay of a member at the business that issues the points.

    Amounts are minor units of `currency`; `total_minor` is what was paid, tax and tip included.
    """

    business_id: int
    idempotency_key: str
    member_id: int
    account_id: int
    occurred_at: datetime
    business_date: date
    currency: str
    total_minor: int
    lines: tuple[BillLine, ...]
    tenders: tuple[BillTender, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """What a sale earned. `tx_id` is None when it earned nothing or was posted before."""

    idempotency_key: str
    member_id: int
    tx_id: int | None
    points: int
    qualifying: int


async def earn(db: AsyncConnection, *, sales: Sequence[Sale]) -> list[Earned]:
    """Post what `sales` earn under the rules in force when each occurred, in one statement.

    Answers in the order of `sales`. A sale posted before posts nothing again. Raises Malformed
    when a key repeats within the batch, Rejected when a sale is older than its business's rules.
    """
    keys = {(sale.business_id, sale.idempotency_key) for sale in sales}
    if len(keys) != len(sales):
        raise Malformed("a batch may hold each sale once", field="idempotency_key")
    if not sales:
        return []
    in_force = await terms(db)
    requests: dict[tuple[int, str], EarnRequest] = {}
    earnings: list[Earning] = []
    for sale in sales:
        rule = in_force.rule(sale.business_id, sale.occurred_at)
        earning = appraise(rule, lines=sale.lines, tenders=sale.tenders, currency=sale.currency)
        earnings.append(earning)
        if earning.points or earning.qualifying:
            requests[sale.business_id, sale.idempotency_key] = EarnRequest(
                business_id=sale.business_id,
                idempotency_key=sale.idempotency_key,
                member_id=sale.member_id,
                account_id=sale.account_id,
                points=earning.points,
                qualifying=earning.qualifying,
                rule_id=rule.rule_id,
                cost_rate=rule.cost_per_point,
                expires_on=in_force.policy(sale.occurred_at).expires_on(sale.business_date),
                occurred_at=sale.occurred_at,
                business_date=sale.business_date,
            )
    posted = await post_earns(db, list(requests.values())) if requests else {}
    await _store_basis(db, sales, earnings, posted)
    return [
        Earned(
            idempotency_key=sale.idempotency_key,
            member_id=sale.member_id,
            tx_id=posted.get((sale.business_id, sale.idempotency_key)),
            points=earning.points,
            qualifying=earning.qualifying,
        )
        for sale, earning in zip(sales, earnings, strict=True)
    ]


async def _store_basis(
    db: AsyncConnection,
    sales: Sequence[Sale],
    earnings: Sequence[Earning],
    posted: dict[tuple[int, str], int],
) -> None:
    """Keep what each posted earn was computed from: refunds and explanations start there."""
    rows = [
        {
            "member_id": sale.member_id,
            "tx_id": posted[sale.business_id, sale.idempotency_key],
            "total_minor": sale.total_minor,
            "currency": sale.currency,
            "lines": orjson.dumps([asdict(line) for line in earning.lines]).decode(),
        }
        for sale, earning in zip(sales, earnings, strict=True)
        if (sale.business_id, sale.idempotency_key) in posted
    ]
    if rows:
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        await db.execute(
            text("""
              INSERT INTO earn_basis (member_id, tx_id, total_minor, currency, lines)
              SELECT m, t, n, c, CAST(l AS jsonb) FROM unnest(CAST(:member_id AS bigint[]),
                CAST(:tx_id AS bigint[]), CAST(:total_minor AS bigint[]),
                CAST(:currency AS text[]), CAST(:lines AS text[])) AS x(m, t, n, c, l)"""),
            columns,
        )
