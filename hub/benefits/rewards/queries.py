"""Reads of rewards: the catalogue as it is now, and members' orders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Stretch, page_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """A reward by the terms in force. `available`: pieces on the shelf; None: without limit."""

    reward_id: int
    code: str
    business_id: int
    category: str
    points: int
    price_minor: int
    currency: str
    tier: str | None
    limit_orders: int | None
    limit_period: str
    available_from: datetime
    available_until: datetime | None
    available: int | None
    voucher: str | None
    benefit: str | None
    uses: int | None
    texts: dict[str, dict[str, str]]
    pictures: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A member's order as it stands."""

    order_id: int
    member_id: int
    business_id: int
    reward_code: str
    points: int
    price_minor: int
    currency: str
    state: str
    tx_id: int | None
    ordered_at: datetime
    pay_by: datetime | None
    delivery_note: str | None
    voucher_id: int | None
    entitlement_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """When an order came to stand so, and who saw to it."""

    at: datetime
    state: str
    actor: str


_REWARDS = """
SELECT r.reward_id, r.code, r.business_id, t.category, t.points, t.price_minor, t.currency,
  tier.code AS tier, t.limit_orders, t.limit_period, t.effective_from AS available_from,
  t.available_until, CASE WHEN t.counted THEN s.available END AS available,
  c.code AS voucher, b.code AS benefit, t.uses, t.texts, t.pictures
FROM reward r JOIN reward_stock s USING (reward_id) JOIN LATERAL (
  SELECT * FROM reward_terms v WHERE v.reward_id = r.reward_id AND v.effective_from <= :now
  ORDER BY v.effective_from DESC LIMIT 1) t ON true
LEFT JOIN tier ON tier.tier_id = t.tier_id
LEFT JOIN voucher_campaign c ON c.campaign_id = t.campaign_id
LEFT JOIN benefit b ON b.benefit_id = t.benefit_id"""
_ON_OFFER = """(available_until IS NULL OR available_until > :now)
  AND available IS DISTINCT FROM 0"""
CATALOGUE = Keyset((Column("points", int), Column("reward_id", int)), where=_ON_OFFER)
"""The cheapest first."""
BY_OFFER = Keyset((Column("available_from", datetime), Column("reward_id", int)), where=_ON_OFFER)
"""What has been offered longest on these terms first."""
_FILTERS = {
    "business_id": "business_id = :business_id",
    "category": "category = :category",
    "tier": "tier = :tier",
    "affordable": "points <= :affordable",
    "too_dear": "points > :too_dear",
    "least_points": "points >= :least_points",
    "most_points": "points <= :most_points",
    "points_alone": "(price_minor = 0) = :points_alone",
}
HOLDER = """coalesce(account_holder(o.account_id), (SELECT coalesce(m.merged_into, m.member_id)
  FROM member m WHERE m.member_id = o.member_id))"""
"""Whose an order `o` is now, after merges and splits."""
_ORDERS = f"""
SELECT o.order_id, {HOLDER} AS member_id, o.business_id, r.code AS reward_code, o.points,
  o.price_minor, o.currency, o.state, o.tx_id, o.ordered_at, o.pay_by, o.delivery_note,
  o.voucher_id, o.entitlement_id
FROM reward_order o JOIN reward r USING (reward_id)"""  # noqa: S608 - a constant of ours
ORDERS = Keyset((Column("order_id", int, "o.order_id"),), descending=True)
"""The newest first."""


class OrderFilter(NamedTuple):
    """Which orders: at `business_id` alone; of a reward, by its code; in these states."""

    business_id: int | None = None
    reward: str | None = None
    states: tuple[str, ...] | None = None
    ordered_from: datetime | None = None
    ordered_before: datetime | None = None


_ORDER_FILTERS = {
    "business_id": "o.business_id = :business_id",
    "reward": "r.code = :reward",
    "states": "o.state = ANY (CAST(:states AS text[]))",
    "ordered_from": "o.ordered_at >= :ordered_from",
    "ordered_before": "o.ordered_at < :ordered_before",
}
_OF_MEMBER = replace(
    ORDERS,
    where=f"""o.state IS NOT NULL AND o.member_id = ANY (ledger_kin(ARRAY[m.id]))
      AND {HOLDER} = m.id""",
)


async def reward_named(db: AsyncConnection, *, code: str, now: datetime) -> Reward | None:
    """Return a reward by the terms in force; None for one that is not there, or not yet."""
    if not code.isprintable():
        return None
    return (await rewards_named(db, codes=[code], now=now)).get(code)


async def reward_page(
    db: AsyncConnection,
    *,
    now: datetime,
    only: Mapping[str, Any],
    stretch: Stretch,
    order: Keyset = CATALOGUE,
) -> list[Reward]:
    """Return what can be had now, by CATALOGUE unless asked otherwise; `only` says of it which."""
    ending, facts = page_of(order, stretch, only=only, filters=_FILTERS)
    query = text(f"SELECT * FROM ({_REWARDS}) AS x {ending}")  # noqa: S608 - constants of ours
    rows = await db.execute(query, {"now": now, **facts})
    return [_reward(row) for row in rows]


async def rewards_named(
    db: AsyncConnection, *, codes: Sequence[str], now: datetime
) -> dict[str, Reward]:
    """Return rewards by the terms in force; one that is not there, or not yet, is left out."""
    query = text(f"SELECT * FROM ({_REWARDS}) AS x WHERE code = ANY (CAST(:codes AS text[]))")  # noqa: S608
    rows = await db.execute(query, {"codes": list(codes), "now": now})
    return {row.code: _reward(row) for row in rows}


def _reward(row: Row[Any]) -> Reward:
    facts = row._asdict()
    facts["texts"] = {
        one["language"]: {"title": one["title"], "description": one["description"]}
        for one in facts["texts"]
    }
    return Reward(**facts)


async def orders_of(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    stretch: Stretch,
    only: OrderFilter,
) -> dict[int, list[Order]]:
    """Return each member's orders, by ORDERS; those of everybody they were merged with too, and
    none that a split took away.
    """
    ending, facts = page_of(_OF_MEMBER, stretch, only=only._asdict(), filters=_ORDER_FILTERS)
    rows = await db.execute(
        text(f"""
          SELECT p.* FROM unnest(CAST(:member_ids AS bigint[])) AS m (id)
          CROSS JOIN LATERAL ({_ORDERS} {ending}) p"""),  # noqa: S608 - constants of ours
        {"member_ids": list(member_ids), **facts},
    )
    found: dict[int, list[Order]] = {member_id: [] for member_id in member_ids}
    for row in rows:
        found[row.member_id].append(Order(**row._asdict()))
    return found


async def order_by_number(db: AsyncConnection, *, order_id: int) -> Order | None:
    """Return an order with whose it is now, or None."""
    query = text(f"{_ORDERS} WHERE o.state IS NOT NULL AND o.order_id = :order_id")
    row = (await db.execute(query, {"order_id": order_id})).one_or_none()
    return None if row is None else Order(**row._asdict())


async def steps_of(db: AsyncConnection, order_ids: Sequence[int]) -> dict[int, list[Step]]:
    """Return how each order came to where it stands, oldest first."""
    found: dict[int, list[Step]] = {order_id: [] for order_id in order_ids}
    rows = await db.execute(
        text("""
          SELECT order_id, at, state, actor FROM reward_order_step
          WHERE order_id = ANY (CAST(:ids AS bigint[])) ORDER BY order_id, step"""),
        {"ids": list(order_ids)},
    )
    for row in rows:
        found[row.order_id].append(Step(at=row.at, state=row.state, actor=row.actor))
    return found


async def offered_by(db: AsyncConnection, *, code: str) -> int | None:
    """Return which business offers a reward; None when there is none of that name."""
    if not code.isprintable():
        return None
    query = text("SELECT business_id FROM reward WHERE code = :code")
    found: int | None = await db.scalar(query, {"code": code})
    return found
