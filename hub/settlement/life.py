"""A period's life: who moved it on and when, what was looked at before, and what was waived."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, NotFound
from hub.settlement.queries import Period, period_by_id

LONGEST_NOTE = 500
STATES = ("open", "closing", "draft", "approved", "issued", "paid")
BY_ITSELF = "hub"
"""Who closed a period for which nobody asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodEvent:
    """A state that a period reached, by whom; `note` is what they said."""

    period_id: int
    state: str
    at: datetime
    actor: str
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was found when the close was last asked for. `facts` are empty where all is well.

    `waived_by` and `reason` are of a waiver for just these facts.
    """

    period_id: int
    code: str
    checked_at: datetime
    facts: Mapping[str, Any]
    says: str
    waived_by: str | None
    reason: str | None

    @property
    def stops(self) -> bool:
        """Whether the period cannot be closed as things stand."""
        return bool(self.facts) and self.waived_by is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a check finds: `facts` tell it as data, `says` in words."""

    code: str
    facts: Mapping[str, Any]
    says: str


async def lock_period(db: AsyncConnection, period_id: int) -> Period:
    """Return a period that nobody moves on before this transaction ends; raises NotFound."""
    await db.execute(
        text("SELECT FROM settlement_period WHERE period_id = :id FOR UPDATE"), {"id": period_id}
    )
    return await period_by_id(db, period_id)


async def move_on(
    db: AsyncConnection, *, period: Period, state: str, actor: str, note: str | None, now: datetime
) -> Period:
    """Move a locked period to the state that follows its own, and keep who did it.

    Raises Malformed for a note that cannot be kept.
    """
    if note is not None and not 1 <= len(note) <= LONGEST_NOTE:
        raise Malformed(f"a note has 1 to {LONGEST_NOTE} characters", field="note")
    await db.execute(
        text("UPDATE settlement_period SET state = :state WHERE period_id = :id"),
        {"state": state, "id": period.period_id},
    )
    await note_state(db, period_id=period.period_id, state=state, actor=actor, note=note, now=now)
    return await period_by_id(db, period.period_id)


async def note_state(
    db: AsyncConnection, *, period_id: int, state: str, actor: str, note: str | None, now: datetime
) -> None:
    """Keep who brought a period to the state that it is in."""
    await db.execute(
        text("""
          INSERT INTO settlement_event (period_id, state, at, actor, note)
          VALUES (:period_id, :state, :now, :actor, :note)"""),
        {"period_id": period_id, "state": state, "now": now, "actor": actor, "note": note},
    )


async def asked_by(db: AsyncConnection, period_id: int) -> list[str]:
    """Return everybody who asked for the close of a period, the latest first."""
    found = await db.scalars(
        text("""
          SELECT actor FROM settlement_close_request WHERE period_id = :id
          ORDER BY asked_at DESC, actor"""),
        {"id": period_id},
    )
    return list(found)


async def waived_by(db: AsyncConnection, period_id: int) -> list[str]:
    """Return everybody who waived a check of a period."""
    found = await db.scalars(
        text("SELECT DISTINCT actor FROM settlement_waiver WHERE period_id = :id ORDER BY actor"),
        {"id": period_id},
    )
    return list(found)


async def events(db: AsyncConnection, *, period_ids: Sequence[int]) -> dict[int, list[PeriodEvent]]:
    """Return the states that each period reached, in their order."""
    rows = await db.execute(
        text("""
          SELECT period_id, state, at, actor, note FROM settlement_event
          WHERE period_id = ANY (CAST(:ids AS integer[]))
          ORDER BY period_id, array_position(CAST(:states AS text[]), state)"""),
        {"ids": list(period_ids), "states": list(STATES)},
    )
    found: dict[int, list[PeriodEvent]] = {period_id: [] for period_id in period_ids}
    for row in rows:
        found[row.period_id].append(PeriodEvent(**row._asdict()))
    return found


async def checks(db: AsyncConnection, *, period_ids: Sequence[int]) -> dict[int, list[Check]]:
    """Return what was last found of each period, with the waivers for just that."""
    rows = await db.execute(
        text("""
          SELECT c.period_id, c.code, c.checked_at, c.facts, c.says, w.actor AS waived_by, w.reason
          FROM settlement_check c
          LEFT JOIN settlement_waiver w USING (period_id, code, facts)
          WHERE c.period_id = ANY (CAST(:ids AS integer[])) ORDER BY c.period_id, c.code"""),
        {"ids": list(period_ids)},
    )
    found: dict[int, list[Check]] = {period_id: [] for period_id in period_ids}
    for row in rows:
        found[row.period_id].append(Check(**row._asdict()))
    return found


async def check_named(db: AsyncConnection, *, period_id: int, code: str) -> Check:
    """Return what a check last found; raises NotFound when it has not looked at the period."""
    for one in (await checks(db, period_ids=[period_id]))[period_id]:
        if one.code == code:
            return one
    raise NotFound(f"no check {code!r} has looked at this period yet", field="check")


async def keep_checks(
    db: AsyncConnection, *, period_id: int, found: Sequence[Found], now: datetime
) -> None:
    """Keep what was found, instead of what was found before."""
    await db.execute(
        text("""
          WITH gone AS (
            DELETE FROM settlement_check
            WHERE period_id = :period_id AND code <> ALL (CAST(:codes AS text[])))
          INSERT INTO settlement_check (period_id, code, checked_at, facts, says)
          SELECT :period_id, code, :now, CAST(facts AS jsonb), says
          FROM unnest(CAST(:codes AS text[]), CAST(:facts AS text[]), CAST(:says AS text[]))
            AS f (code, facts, says)
          ON CONFLICT (period_id, code) DO UPDATE SET checked_at = excluded.checked_at,
            facts = excluded.facts, says = excluded.says"""),
        {
            "period_id": period_id,
            "now": now,
            "codes": [one.code for one in found],
            "facts": [orjson.dumps(one.facts).decode() for one in found],
            "says": [one.says for one in found],
        },
    )
