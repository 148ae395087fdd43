"""Checks charged to rooms: seen by the till and by the folio, they earn once.

Which side earns is the group's choice (docs/connectors/README.md): where the till's rule counts a
room charge, the check earns, and what the folio that names it earned is taken back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.tiers.count_refund import count_refund
from hub.connector import TenderKind
from hub.intake import facts
from hub.intake.fact import Fact, check_number, idempotency_key
from hub.intake.facts import PostedFact, SourceKey
from hub.points.clawback import clawback
from hub.points.undo import Refunded
from hub.programme.queries import terms

_KEEP = text("""
INSERT INTO room_charge (connection_id, kind, source_id, side, check_number, business_date,
  currency, amount_minor, tills, nets)
SELECT CAST(:connection_id AS smallint), :kind, :source_id, :side, :check_number, :business_date,
  :currency, :amount_minor, t.tills, CAST(:nets AS jsonb)
FROM (SELECT coalesce(array_agg(connection_id), '{}') AS tills FROM connection
      WHERE code = ANY (CAST(:tills AS text[]))) AS t
WHERE (:side = 'folio') = (t.tills <> '{}')
ON CONFLICT DO NOTHING
""")
# A tip may be added on the folio, and of a check split between rooms a folio has a part. Numbers
# begin anew each day: of the day before or after, only about the same amount is the same check.
_PAIRS = text("""
SELECT DISTINCT ON (f.charge_id) f.charge_id, f.connection_id, f.kind, f.source_id, f.amount_minor,
  f.nets, f.currency, f.business_date, t.charge_id AS till_charge_id,
  t.connection_id AS till_connection_id, t.kind AS till_kind, t.source_id AS till_id
FROM unnest(CAST(:connections AS smallint[]), CAST(:kinds AS text[]), CAST(:ids AS text[]))
  AS x (connection_id, kind, source_id)
JOIN room_charge n USING (connection_id, kind, source_id)
JOIN room_charge f ON f.check_number = n.check_number AND f.side = 'folio'
  AND f.linked_at IS NULL AND (n.side = 'till' OR n.charge_id = f.charge_id)
JOIN room_charge t ON t.check_number = n.check_number AND t.side = 'till'
  AND (n.side = 'folio' OR n.charge_id = t.charge_id)
  AND t.connection_id = ANY (f.tills) AND t.currency = f.currency
  AND abs(t.business_date - f.business_date) <= 1
  AND f.amount_minor <= t.amount_minor + t.amount_minor / 2
  AND (t.business_date = f.business_date OR f.amount_minor >= t.amount_minor / 2)
ORDER BY f.charge_id, abs(t.business_date - f.business_date),
  abs(t.amount_minor - f.amount_minor), t.charge_id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPair:
    """Lines of a folio's fact, and the check's fact that they mirror."""

    charge_id: int
    till_charge_id: int
    folio: SourceKey
    till: SourceKey
    nets: dict[str, int]
    amount_minor: int
    currency: str
    business_date: date


async def keep_room_charges(db: AsyncConnection, bills: Sequence[Fact]) -> None:
    """Keep what these bills say of checks charged to rooms; most say nothing."""
    rows = [row for fact in bills for row in (*_of_till(fact), *_of_folio(fact))]
    if rows:
        await db.execute(_KEEP, rows)


async def room_pairs(db: AsyncConnection, bills: Sequence[Fact]) -> list[RoomPair]:
    """Return what these bills match, or are matched by: each folio's lines with one check."""
    asking = [fact.key for fact in bills if fact.checks()]
    if not asking:
        return []
    rows = await db.execute(
        _PAIRS,
        {
            "connections": [key.connection_id for key in asking],
            "kinds": [key.kind for key in asking],
            "ids": [key.id for key in asking],
        },
    )
    return [
        RoomPair(
            charge_id=row.charge_id,
            till_charge_id=row.till_charge_id,
            folio=SourceKey(row.connection_id, row.kind, row.source_id),
            till=SourceKey(row.till_connection_id, row.till_kind, row.till_id),
            nets=row.nets,
            amount_minor=row.amount_minor,
            currency=row.currency,
            business_date=row.business_date,
        )
        for row in rows
    ]


async def link_room_charges(
    db: AsyncConnection, pairs: Sequence[RoomPair], now: datetime
) -> set[int]:
    """Take back what folios earned with checks that earned by themselves; returns whose points.

    Both facts are posted, and the caller holds the locks on the balances. A check that earned
    nobody anything, or whose rule leaves room charges out, leaves the folio what it has.
    """
    if not pairs:
        return set()
    posted = await facts.find(db, {key for pair in pairs for key in (pair.folio, pair.till)})
    moved: set[int] = set()
    for pair in sorted(pairs, key=lambda one: one.charge_id):
        folio, till = posted.get(pair.folio), posted.get(pair.till)
        if folio is None or till is None or not await _earned(db, till):
            continue
        await db.execute(
            text(
                "UPDATE room_charge SET charged_id = :till, linked_at = :now WHERE charge_id = :id"
            ),
            {"till": pair.till_charge_id, "now": now, "id": pair.charge_id},
        )
        if folio.tx_id is not None and folio.member_id and folio.account_id:
            await _take_back(db, pair, folio, now)
            moved.add(folio.member_id)
    return moved


async def _earned(db: AsyncConnection, till: PostedFact) -> bool:
    """Say whether a check's room charge earned: somebody's, under a rule that counts it."""
    if till.tx_id is None:
        return False
    row = (
        await db.execute(
            text("""
              SELECT c.business_id, t.occurred_at
              FROM connection c, business_fact f
              JOIN ledger_transaction t ON t.tx_id = f.tx_id
              WHERE t.business_id = c.business_id AND t.idempotency_key = :key
                AND c.connection_id = :c AND f.connection_id = :c AND f.kind = :k
                AND f.source_id = :i"""),
            {
                "c": till.key.connection_id,
                "k": till.key.kind,
                "i": till.key.id,
                "key": idempotency_key(till.key),
            },
        )
    ).first()
    if row is None:
        return False
    rule = (await terms(db)).rule(row.business_id, row.occurred_at)
    return TenderKind.ROOM_CHARGE not in rule.excluded_tender_kinds


async def _take_back(db: AsyncConnection, pair: RoomPair, folio: PostedFact, now: datetime) -> None:
    business_id = await db.scalar(
        text("SELECT business_id FROM connection WHERE connection_id = :c"),
        {"c": pair.folio.connection_id},
    )
    if business_id is None or folio.tx_id is None or not folio.member_id or not folio.account_id:
        raise RuntimeError("a folio that earned has a business and a member")
    key = f"{idempotency_key(pair.folio)}:room:{pair.charge_id}"
    await clawback(
        db,
        business_id=business_id,
        member_id=folio.member_id,
        account_id=folio.account_id,
        earn_tx=folio.tx_id,
        refund=Refunded(nets=pair.nets, unallocated_minor=0, amount_minor=pair.amount_minor),
        currency=pair.currency,
        idempotency_key=key,
        occurred_at=now,
        business_date=pair.business_date,
        now=now,
    )
    await count_refund(
        db,
        account_id=folio.account_id,
        sale=idempotency_key(folio.key),
        key=key,
        refunded_minor=pair.amount_minor,
        occurred_at=now,
    )


def _of_till(fact: Fact) -> list[dict[str, Any]]:
    charged: dict[str, int] = {}
    for tender in fact.event.tenders:
        if tender.kind is TenderKind.ROOM_CHARGE and tender.reference is not None:
            number = check_number(tender.reference)
            charged[number] = charged.get(number, 0) + tender.amount_minor + tender.tip_minor
    return [
        _row(fact, "till", number, fact.event.business_date, amount, nets={})
        for number, amount in charged.items()
    ]


def _of_folio(fact: Fact) -> list[dict[str, Any]]:
    naming = [line for line in fact.event.lines if line.check is not None]
    if not naming or not fact.wired.plug.config.tills:
        return []
    found: dict[tuple[str, date], dict[str, int]] = {}
    gross: dict[tuple[str, date], int] = {}
    for line in naming:
        if line.check is not None:
            key = (check_number(line.check), line.charged_on or fact.event.business_date)
            found.setdefault(key, {})[line.id] = line.net_minor
            tax = sum(tax.amount_minor for tax in line.taxes)
            gross[key] = gross.get(key, 0) + line.net_minor + tax
    return [
        _row(fact, "folio", number, day, gross[number, day], nets=nets)
        for (number, day), nets in found.items()
    ]


def _row(
    fact: Fact,
    side: str,
    number: str,
    day: date,
    amount: int,
    *,
    nets: dict[str, int],
) -> dict[str, Any]:
    return {
        "connection_id": fact.key.connection_id,
        "kind": fact.key.kind,
        "source_id": fact.key.id,
        "side": side,
        "check_number": number,
        "business_date": day,
        "currency": fact.event.currency,
        "amount_minor": amount,
        "tills": sorted(fact.wired.plug.config.tills) if side == "folio" else [],
        "nets": orjson.dumps(nets).decode(),
    }
