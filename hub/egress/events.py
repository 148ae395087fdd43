"""What can be subscribed to, and how an event is written. Nothing in it names a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Side


class EventKind(StrEnum):
    """The types of events."""

    POINTS_POSTED = "points.posted"
    TIER_CHANGED = "tier.changed"
    TIER_NOTICE = "tier.notice"
    POINTS_EXPIRING = "points.expiring"
    VOUCHER_GIVEN = "voucher.given"
    VOUCHER_ENDING = "voucher.ending"
    VOUCHER_EXPIRED = "voucher.expired"
    REWARD_CHANGED = "reward.changed"
    OCCASION_GIVEN = "occasion.given"


UNLESS_SAID = (EventKind.POINTS_POSTED, EventKind.TIER_CHANGED)
"""What a subscription is told that names no types. What is added is for those who ask for it."""


# What points were gained by, or lost by, as an event says it.
_GAINED = {
    Side.ISSUED: "earned",
    Side.ACCEPTED: "restored",
    Side.EXPIRED: "reinstated",
    Side.CLAWED_BACK: "settled",
    Side.MOVED: "received",
    Side.ADJUSTED: "adjusted",
    Side.OPENING: "opening",
    Side.RECEIVABLE: "settled",
    Side.RECOVERED: "recovered",
}
_LOST = {
    **_GAINED,
    Side.ACCEPTED: "redeemed",
    Side.EXPIRED: "expired",
    Side.CLAWED_BACK: "clawed_back",
    Side.MOVED: "given",
}

_READ = text("""
SELECT e.event_id, e.type, e.occurred_at, e.noted_at, e.tx_id, e.points, e.side,
  e.member_id, coalesce(m.merged_into, m.member_id) AS member_now, b.code AS business,
  a.external_id, a.walk_in, u.code AS unit, t.code AS tier, p.code AS previous_tier, e.detail
FROM hub_event e
JOIN member m ON m.member_id = e.member_id
JOIN business b ON b.business_id = e.business_id
LEFT JOIN account a ON a.account_id = e.account_id
LEFT JOIN point_unit u ON u.unit_id = e.unit
LEFT JOIN tier t ON t.tier_id = e.tier_id
LEFT JOIN tier p ON p.tier_id = e.previous_tier_id
WHERE e.event_id = ANY (CAST(:ids AS bigint[]))
""")


@dataclass(frozen=True, slots=True)
class Written:
    """An event as it is told: its id, the same however often it is sent, and the body."""

    event_id: int
    noted_at: datetime
    body: bytes


async def written(db: AsyncConnection, *, event_ids: Sequence[int]) -> dict[int, Written]:
    """Write events, by id. The customer's id is the business's own, if it has one."""
    rows = await db.execute(_READ, {"ids": list(event_ids)})
    return {row.event_id: Written(row.event_id, row.noted_at, _body(row)) for row in rows}


def _body(row: Row[tuple[object, ...]]) -> bytes:
    data: dict[str, object] = {
        "business": row.business,
        "member_id": str(row.member_now),
        "external_id": None if row.walk_in else row.external_id,
        "occurred_at": row.occurred_at,
    }
    if row.type == EventKind.POINTS_POSTED:
        names = _GAINED if row.points > 0 else _LOST
        data |= {
            "transaction_id": str(row.tx_id),
            "what": names[Side(row.side)],
            "points": row.points,
            "unit": row.unit,
        }
    elif row.detail is not None:
        data |= row.detail
    else:
        data |= {"tier": row.tier, "previous_tier": row.previous_tier}
    return orjson.dumps({"type": row.type, "timestamp": row.noted_at, "data": data})
