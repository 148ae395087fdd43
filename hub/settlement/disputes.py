"""Reads of disputes, and what their verbs share.

Amounts in `*_minor` are integer minor units: what the debtor owes the creditor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.db.keyset import Column, Keyset, Place, Stretch, page_of
from hub.errors import Forbidden, Malformed, NotFound, Rejected
from hub.settlement.life import lock_period

LONGEST_MESSAGE = 2000
LONGEST_KEY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """Lines of a closed period that `business_id`, a side of them, says are wrong.

    `state` is open, upheld (they are wrong), rejected or withdrawn (they stand). `held_minor` is
    what is held back of what is due of the period; None: nothing, as it was approved without.
    """

    dispute_id: int
    period_id: int
    period: str
    business_id: int
    debtor_id: int
    creditor_id: int
    currency: str
    state: str
    reason: str
    opened_by: str
    opened_at: datetime
    resolved_by: str | None
    resolved_at: datetime | None
    resolution: str | None
    lines: int
    held_minor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What was said in a dispute, for a business or (None) the group's finance."""

    message_id: int
    dispute_id: int
    business_id: int | None
    actor: str
    body: str
    said_at: datetime


_DISPUTE = """
SELECT dispute_id, d.period_id, p.code AS period, business_id, debtor_id, creditor_id,
  currency, d.state, reason,
  opened_by, d.opened_at, resolved_by, resolved_at, resolution,
  (SELECT count(*) FROM dispute_line l WHERE l.dispute_id = d.dispute_id) AS lines,
  (SELECT sum(gross_minor)::bigint FROM dispute_held h WHERE h.dispute_id = d.dispute_id)
    AS held_minor
FROM dispute d JOIN settlement_period p USING (period_id)"""


async def dispute(db: AsyncConnection, dispute_id: int) -> Dispute:
    """Return a dispute; raises NotFound."""
    row = (await db.execute(text(f"{_DISPUTE} WHERE dispute_id = :id"), {"id": dispute_id})).first()
    if row is None:
        raise NotFound(f"there is no dispute {dispute_id}", dispute_id=dispute_id)
    return Dispute(**row._asdict())


DISPUTES = Keyset((Column("dispute_id", int),))
"""The oldest first."""
BY_OPENING = Keyset((Column("opened_at", datetime, "d.opened_at"), Column("dispute_id", int)))
BY_ENDING = Keyset(
    (Column("resolved_at", datetime), Column("dispute_id", int)), where="resolved_at IS NOT NULL"
)
"""Those alone that ended."""


class DisputeFilter(NamedTuple):
    """Which disputes: in these states; that `business_id` is a side of; by who owes whom, of a
    period (its code), opened when.
    """

    states: tuple[str, ...] | None = None
    business_id: int | None = None
    debtor_id: int | None = None
    creditor_id: int | None = None
    period: str | None = None
    currency: str | None = None
    opened_from: datetime | None = None
    opened_before: datetime | None = None


_FILTERS = {
    "states": "d.state = ANY (CAST(:states AS text[]))",
    "business_id": ":business_id IN (debtor_id, creditor_id)",
    "debtor_id": "debtor_id = :debtor_id",
    "creditor_id": "creditor_id = :creditor_id",
    "period": "d.period_id = (SELECT s.period_id FROM settlement_period s WHERE s.code = :period)",
    "currency": "currency = :currency",
    "opened_from": "d.opened_at >= :opened_from",
    "opened_before": "d.opened_at < :opened_before",
}


async def disputes(
    db: AsyncConnection,
    *,
    only: DisputeFilter | None = None,
    order: Keyset = DISPUTES,
    first: int,
    after: Place | None = None,
    before: Place | None = None,
    backward: bool = False,
) -> list[Dispute]:
    """Return up to `first` disputes of all periods, by DISPUTES unless asked otherwise."""
    said, stretch = only or DisputeFilter(), Stretch(first, backward, after, before)
    ending, facts = page_of(order, stretch, only=said._asdict(), filters=_FILTERS)
    rows = await db.execute(text(f"{_DISPUTE} {ending}"), facts)
    return [Dispute(**row._asdict()) for row in rows]


async def disputes_of_periods(
    db: AsyncConnection,
    *,
    period_ids: Sequence[int],
    only: DisputeFilter,
    stretch: Stretch,
    order: Keyset = DISPUTES,
) -> dict[int, list[Dispute]]:
    """Return what was disputed of each period, by DISPUTES unless asked otherwise."""
    of = " AND ".join(filter(None, (order.where, "d.period_id = of.id")))
    order = replace(order, where=of)
    ending, facts = page_of(order, stretch, only=only._asdict(), filters=_FILTERS)
    rows = await db.execute(
        text(f"""
          SELECT x.* FROM unnest(CAST(:ids AS integer[])) AS of (id)
          CROSS JOIN LATERAL ({_DISPUTE} {ending}) x"""),  # noqa: S608 - no input in it
        {"ids": list(period_ids), **facts},
    )
    found: dict[int, list[Dispute]] = {period_id: [] for period_id in period_ids}
    for row in rows:
        found[row.period_id].append(Dispute(**row._asdict()))
    return found


async def disputes_of_lines(db: AsyncConnection, *, line_ids: Sequence[int]) -> dict[int, Dispute]:
    """Return the latest dispute of each line that has one."""
    rows = await db.execute(
        text(f"""
          SELECT l.line_id, d.* FROM (
            SELECT line_id, max(dispute_id) AS dispute_id FROM dispute_line
            WHERE line_id = ANY (CAST(:ids AS bigint[])) GROUP BY line_id) l
          JOIN ({_DISPUTE}) d USING (dispute_id)"""),  # noqa: S608 - a constant of ours
        {"ids": list(line_ids)},
    )
    found = {}
    for row in rows:
        facts = row._asdict()
        line_id = facts.pop("line_id")
        found[line_id] = Dispute(**facts)
    return found


async def lines_of(db: AsyncConnection, *, dispute_ids: Sequence[int]) -> dict[int, list[int]]:
    """Return the numbers of each dispute's lines, ascending."""
    found: dict[int, list[int]] = {dispute_id: [] for dispute_id in dispute_ids}
    rows = await db.execute(
        text("""
          SELECT dispute_id, line_id FROM dispute_line
          WHERE dispute_id = ANY (CAST(:ids AS bigint[])) ORDER BY dispute_id, line_id"""),
        {"ids": list(dispute_ids)},
    )
    for row in rows:
        found[row.dispute_id].append(row.line_id)
    return found


async def messages(db: AsyncConnection, *, dispute_ids: Sequence[int]) -> dict[int, list[Message]]:
    """Return what was said in each dispute, in its order."""
    found: dict[int, list[Message]] = {dispute_id: [] for dispute_id in dispute_ids}
    rows = await db.execute(
        text("""
          SELECT message_id, dispute_id, business_id, actor, body, said_at FROM dispute_message
          WHERE dispute_id = ANY (CAST(:ids AS bigint[])) ORDER BY dispute_id, message_id"""),
        {"ids": list(dispute_ids)},
    )
    for row in rows:
        found[row.dispute_id].append(Message(**row._asdict()))
    return found


async def lock_dispute(db: AsyncConnection, dispute_id: int, *, business_id: int | None) -> Dispute:
    """Return a dispute that nobody decides, and whose period nobody approves, meanwhile.

    Raises NotFound, also for a business that is no side of it.
    """
    found = await dispute(db, dispute_id)
    if business_id not in (None, found.debtor_id, found.creditor_id):
        raise NotFound(f"there is no dispute {dispute_id}", dispute_id=dispute_id)
    await lock_period(db, found.period_id)
    return await dispute(db, dispute_id)


async def end_dispute(
    db: AsyncConnection, found: Dispute, *, state: str, reason: str, actor: str, now: datetime
) -> Dispute:
    """End a locked dispute; again with the same outcome is once.

    Raises Rejected when it ended otherwise, Forbidden when who opened it would decide it.
    """
    if found.state == state:
        return found
    if found.state != "open":
        raise Rejected(
            f"dispute {found.dispute_id} was {found.state} by {found.resolved_by}: what that "
            "settled is put right by a correction",
            dispute_id=found.dispute_id,
        )
    if state != "withdrawn" and actor == found.opened_by:
        raise Forbidden("somebody else must decide what one has disputed", field="actor")
    facts = {
        "id": found.dispute_id,
        "state": state,
        "now": now,
        "actor": actor,
        "reason": reason,
    }
    await db.execute(
        text("""
          UPDATE dispute SET state = :state, resolved_at = :now, resolved_by = :actor,
            resolution = :reason WHERE dispute_id = :id"""),
        facts,
    )
    if state != "upheld":
        await db.execute(
            text("UPDATE dispute_line SET stands = false WHERE dispute_id = :id"), facts
        )
    return await dispute(db, found.dispute_id)


def keyed(idempotency_key: str) -> None:
    """Raise Malformed for what is no idempotency key."""
    if not 1 <= len(idempotency_key) <= LONGEST_KEY or not idempotency_key.isprintable():
        raise Malformed(
            f"an idempotency key has 1 to {LONGEST_KEY} printable characters",
            field="idempotency_key",
        )
