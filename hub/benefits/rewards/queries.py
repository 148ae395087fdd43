"""Reads of rewards: the catalogue as it is now, and members' orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """When an order came to stand so, and who saw to it."""

    at: datetime
    state: str
    actor: str


_REWARDS = """
SELECT r.reward_id, r.code, r.business_id, t.category, t.points, t.price_minor, t.currency,
  tier.code AS tier, t.limit_orders, t.limit_period, t.effective_from AS available_from,
  t.available_until, CASE WHEN t.counted THEN s.available END AS available, t.texts, t.pictures
FROM reward r JOIN reward_stock s USING (reward_id) JOIN LATERAL (
  SELECT * FROM reward_terms v WHERE v.reward_id = r.reward_id AND v.effective_from <= :now
  ORDER BY v.effective_from DESC LIMIT 1) t ON true
LEFT JOIN tier ON tier.tier_id = t.tier_id"""
# What can be had now, cheapest first.
_PAGE = f"""
SELECT * FROM ({_REWARDS}) AS x
WHERE (available_until IS NULL OR available_until > :now) AND available IS DISTINCT FROM 0
  AND (CAST(:business_id AS smallint) IS NULL OR business_id = :business_id)
  AND (CAST(:category AS text) IS NULL OR category = :category)
  AND (CAST(:most_points AS bigint) IS NULL OR points <= :most_points)
  AND (CAST(:after_points AS bigint) IS NULL
    OR (points, reward_id) > (:after_points, CAST(:after_id AS integer)))
  AND (CAST(:before_points AS bigint) IS NULL
    OR (points, reward_id) < (:before_points, CAST(:before_id AS integer)))
ORDER BY points {{direction}}, reward_id {{direction}} LIMIT :limit
"""  # noqa: S608 - constants of ours
HOLDER = """coalesce(account_holder(o.account_id), (SELECT coalesce(m.merged_into, m.member_id)
  FROM member m WHERE m.member_id = o.member_id))"""
"""Whose an order `o` is now, after merges and splits."""
_ORDERS = f"""
SELECT o.order_id, {HOLDER} AS member_id, o.business_id, r.code AS reward_code, o.points,
  o.price_minor, o.currency, o.state, o.tx_id, o.ordered_at, o.pay_by, o.delivery_note
FROM reward_order o JOIN reward r USING (reward_id) WHERE o.state IS NOT NULL"""  # noqa: S608 - a constant of ours
Place = tuple[int, int]


async def reward_named(db: AsyncConnection, *, code: str, now: datetime) -> Reward | None:
    """Return a reward by the terms in force; None for one that is not there, or not yet."""
    if not code.isprintable():
        return None
    query = text(f"SELECT * FROM ({_REWARDS}) AS x WHERE code = :code")  # noqa: S608
    row = (await db.execute(query, {"code": code, "now": now})).one_or_none()
    return None if row is None else _reward(row)


async def reward_page(
    db: AsyncConnection,
    *,
    now: datetime,
    business_id: int | None,
    category: str | None,
    most_points: int | None,
    after: Place | None,
    before: Place | None,
    backward: bool,
    limit: int,
) -> list[Reward]:
    """Return what can be had now, by points and number, between two places."""
    if category is not None and not category.isprintable():
        return []
    query = _PAGE.format(direction="DESC" if backward else "ASC")
    rows = await db.execute(
        text(query),
        {
            "now": now,
            "business_id": business_id,
            "category": category,
            "most_points": most_points,
            "after_points": after and after[0],
            "after_id": after and after[1],
            "before_points": before and before[0],
            "before_id": before and before[1],
            "limit": limit,
        },
    )
    return [_reward(row) for row in rows]


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
    member_id: int,
    business_id: int | None,
    newest: int | None,
    oldest: int | None,
    backward: bool,
    limit: int,
) -> list[Order]:
    """Return a member's orders (at `business_id`), newest first, older than `newest`, newer than
    `oldest`; those of everybody they were merged with too, and none that a split took away.
    """
    direction = "ASC" if backward else "DESC"
    rows = await db.execute(
        text(f"""{_ORDERS}
          AND o.member_id = ANY (ledger_kin(ARRAY[CAST(:member_id AS bigint)]))
          AND {HOLDER} = :member_id
          AND (CAST(:business_id AS smallint) IS NULL OR o.business_id = :business_id)
          AND (CAST(:newest AS bigint) IS NULL OR o.order_id < :newest)
          AND (CAST(:oldest AS bigint) IS NULL OR o.order_id > :oldest)
          ORDER BY o.order_id {direction} LIMIT :limit"""),
        {
            "member_id": member_id,
            "business_id": business_id,
            "newest": newest,
            "oldest": oldest,
            "limit": limit,
        },
    )
    return [Order(**row._asdict()) for row in rows]


async def order_by_number(db: AsyncConnection, *, order_id: int) -> Order | None:
    """Return an order with whose it is now, or None."""
    query = text(f"{_ORDERS} AND o.order_id = :order_id")
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
