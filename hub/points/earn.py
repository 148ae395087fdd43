"""Earn: issue points for what a member bought. A single sale is a batch of one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, Malformed
from hub.ledger.codes import Kind
from hub.ledger.post import EarnRequest, post_earns
from hub.points.check_out import known_check_outs
from hub.points.checks import MOST_POINTS, key, timely
from hub.points.day_caps import within_day_caps
from hub.points.sale import Sale
from hub.programme.earning import Earning, appraise
from hub.programme.exchange import conversion, converted, needs_table
from hub.programme.policy_queries import Policies
from hub.programme.queries import exchange_rates, terms
from hub.programme.rule import EarningRule
from hub.programme.steps import pack

TiersAt = Callable[
    [AsyncConnection, Sequence[tuple[int, datetime]]],
    Awaitable[Mapping[tuple[int, datetime], str]],
]
"""Reads the tier that each member held at an instant; who held none is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """What a sale earned. `tx_id` is None when it earned nothing or was posted before.

    `spend_minor` is what of it could earn, in the `currency` that its business accounts in.
    """

    idempotency_key: str
    member_id: int
    tx_id: int | None
    points: int
    qualifying: int
    spend_minor: int
    currency: str


async def earn(
    db: AsyncConnection,
    *,
    sales: Sequence[Sale],
    now: datetime,
    tiers_at: TiersAt | None = None,
) -> list[Earned]:
    """Post what `sales` earn under the rules in force when each occurred, in one statement.

    Answers in the order of `sales`. A sale posted before posts nothing again, and is answered
    with what it earned then. `tiers_at` is asked only when a rule looks at tiers; without it
    nobody holds one. Raises Malformed, naming the field, when a key repeats within the batch,
    when a sale lies ahead or in another century, or is in a currency that nobody converts;
    Rejected when it is older than its business's rules; Conflict, naming the field,
    when its key was used for another sale.
    """
    if len({sale.key for sale in sales}) != len(sales):
        raise Malformed("a batch may hold each sale once", field="idempotency_key")
    if not sales:
        return []
    for sale in sales:
        key(sale.idempotency_key)
        timely(sale.occurred_at, now)
    in_force = await terms(db)
    rules = [in_force.rule(sale.business_id, sale.occurred_at) for sale in sales]
    earnings = await _appraise(db, sales, rules, tiers_at)
    earnings = await within_day_caps(db, sales, rules, earnings)
    requests = [
        _request(sale, rule, earning, in_force.policies)
        for sale, rule, earning in zip(sales, rules, earnings, strict=True)
        if earning.points or earning.qualifying
    ]
    requests = await _left_already(db, requests)
    posted = await post_earns(db, requests, now=now) if requests else {}
    before = await _posted_before(db, [sale for sale in sales if sale.key not in posted])
    await _store_basis(db, sales, rules, earnings, posted)
    return [
        Earned(
            idempotency_key=sale.idempotency_key,
            member_id=sale.member_id,
            tx_id=posted.get(sale.key),
            points=before.get(sale.key, earning).points,
            qualifying=before.get(sale.key, earning).qualifying,
            spend_minor=converted(
                earning.base, of=sale.currency, to=rule.currency, rate=earning.exchange_rate
            ),
            currency=rule.currency,
        )
        for sale, rule, earning in zip(sales, rules, earnings, strict=True)
    ]


async def _appraise(
    db: AsyncConnection,
    sales: Sequence[Sale],
    rules: Sequence[EarningRule],
    tiers_at: TiersAt | None,
) -> list[Earning]:
    """Return what each sale earns by itself; only what some sale needs is read."""
    pairs = list(zip(sales, rules, strict=True))
    asking = [(s.member_id, s.occurred_at) for s, rule in pairs if rule.asks_tier]
    tiers = await tiers_at(db, asking) if tiers_at is not None and asking else {}
    foreign = any(needs_table(sale, to=rule.currency) for sale, rule in pairs)
    table = await exchange_rates(db) if foreign else {}
    earnings = [
        appraise(
            rule,
            sale,
            tier=tiers.get((sale.member_id, sale.occurred_at)),
            conversion=conversion(sale, to=rule.currency, on=sale.business_date, table=table),
        )
        for sale, rule in pairs
    ]
    if any(max(earning.points, earning.qualifying) > MOST_POINTS for earning in earnings):
        raise Malformed(f"no bill earns more than {MOST_POINTS} points", field="points")
    return earnings


async def _left_already(db: AsyncConnection, requests: list[EarnRequest]) -> list[EarnRequest]:
    """Let what was earned before a known check-out not wait for one; asks only where some waits."""
    waiting = {(r.member_id, r.account_id) for r in requests if r.on_checkout}
    if not waiting:
        return requests
    left = await known_check_outs(db, account_ids=waiting)
    return [
        replace(r, on_checkout=False, activates_at=left_at)
        if r.on_checkout
        and (left_at := left.get((r.member_id, r.account_id))) is not None
        and r.occurred_at <= left_at
        else r
        for r in requests
    ]


def _request(sale: Sale, rule: EarningRule, earning: Earning, policies: Policies) -> EarnRequest:
    """Return what a sale asks of the ledger, under the policies in force when it occurred."""
    expiry = policies.expiry(rule.unit, sale.occurred_at)
    activation = policies.activation(sale.business_id, sale.occurred_at)
    return EarnRequest(
        business_id=sale.business_id,
        idempotency_key=sale.idempotency_key,
        member_id=sale.member_id,
        account_id=sale.account_id,
        points=earning.points,
        qualifying=earning.qualifying,
        rule_id=rule.rule_id,
        cost_rate=rule.cost_per_point,
        expires_on=expiry.expires_on(sale.business_date),
        occurred_at=sale.occurred_at,
        business_date=sale.business_date,
        unit=rule.unit,
        funder_id=rule.funder_id,
        activates_at=activation.activates_at(
            sale.business_date,
            time_zone=rule.time_zone,
            day_starts_at_hour=rule.day_starts_at_hour,
        ),
        on_checkout=activation.on_checkout and not sale.checked_out,
        idle_months=expiry.idle_months,
    )


async def _posted_before(
    db: AsyncConnection, sales: Sequence[Sale]
) -> dict[tuple[int, str], Row[Any]]:
    """Return the headers of those `sales` that were posted by an earlier request.

    Raises Conflict, naming the field, when one of them was another sale.
    """
    if not sales:
        return {}
    rows = await db.execute(
        text("""
          SELECT t.business_id, t.idempotency_key, t.kind, t.occurred_at, b.currency,
            b.total_minor, t.points, t.qualifying,
            CASE WHEN t.member_id <> k.member_id AND t.member_id = ANY (
                ledger_kin(ARRAY[k.member_id])) THEN k.member_id ELSE t.member_id END AS member_id
          FROM unnest(CAST(:businesses AS smallint[]), CAST(:keys AS text[]),
              CAST(:members AS bigint[])) AS k (business_id, idempotency_key, member_id)
          JOIN ledger_transaction t USING (business_id, idempotency_key)
          LEFT JOIN earn_basis b ON b.member_id = t.member_id AND b.tx_id = t.tx_id"""),
        {
            "businesses": [sale.business_id for sale in sales],
            "keys": [sale.idempotency_key for sale in sales],
            "members": [sale.member_id for sale in sales],
        },
    )
    before = {(row.business_id, row.idempotency_key): row for row in rows}
    for sale in sales:
        if sale.key in before:
            _require_same(sale, before[sale.key])
    return before


def _require_same(sale: Sale, stored: Row[Any]) -> None:
    if stored.kind != Kind.EARN:
        raise Conflict("this idempotency key was used before for no sale", field="kind")
    for field in ("member_id", "occurred_at", "currency", "total_minor"):
        was = getattr(stored, field)
        # What was imported as a balance has no bill to compare.
        if was is not None and was != getattr(sale, field):
            raise Conflict(
                f"this idempotency key was used before for another sale (its {field}: {was}): "
                "send that one again, or use a new key",
                field=field,
            )


async def _store_basis(
    db: AsyncConnection,
    sales: Sequence[Sale],
    rules: Sequence[EarningRule],
    earnings: Sequence[Earning],
    posted: Mapping[tuple[int, str], int],
) -> None:
    """Keep what each posted earn was computed from: refunds and explanations start there."""
    rows = [
        {
            "member_id": sale.member_id,
            "tx_id": posted[sale.key],
            "total_minor": sale.total_minor,
            "currency": sale.currency,
            "lines": orjson.dumps([asdict(line) for line in earning.lines]).decode(),
            "base_minor": earning.base,
            "rule_id": rule.rule_id,
            "unit": rule.unit,
            "exchange_rate": earning.exchange_rate,
            "steps": orjson.dumps([pack(step) for step in earning.steps]).decode()
            if earning.steps
            else None,
        }
        for sale, rule, earning in zip(sales, rules, earnings, strict=True)
        if sale.key in posted
    ]
    if rows:
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        await db.execute(
            text("""
              INSERT INTO earn_basis (member_id, tx_id, total_minor, currency, lines, base_minor,
                rule_id, unit, exchange_rate, steps)
              SELECT m, t, n, c, CAST(l AS jsonb), b, r, u, x, CAST(s AS jsonb)
              FROM unnest(CAST(:member_id AS bigint[]), CAST(:tx_id AS bigint[]),
                CAST(:total_minor AS bigint[]), CAST(:currency AS text[]),
                CAST(:lines AS text[]), CAST(:base_minor AS bigint[]),
                CAST(:rule_id AS integer[]), CAST(:unit AS smallint[]),
                CAST(:exchange_rate AS numeric[]), CAST(:steps AS text[]))
                AS e(m, t, n, c, l, b, r, u, x, s)"""),
            columns,
        )
