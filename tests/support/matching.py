"""People who are seen at businesses, and matched in batch: for tests."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Hint, HintType
from hub.crypto.keyring import Keyring
from hub.intake.match_members import match_members
from hub.members.batch.plan_matches import Kind, plan_matches
from hub.members.resolve import Resolved, Sighting, resolve

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring.generate()
SHOP, HOTEL, BISTRO, SPA = 1, 2, 3, 4


def sighting(business_id: int, external_id: str, *, minute: int = 0, **said: str) -> Sighting:
    """Somebody at a business. `phone=` is verified, `phone_said=` is not."""
    hints = tuple(
        Hint(
            type=HintType(key.removesuffix("_said")),
            value=value,
            verified=not key.endswith("_said") and key not in ("name", "birthday"),
        )
        for key, value in said.items()
    )
    return Sighting(
        business_id=business_id,
        external_id=external_id,
        hints=hints,
        seen_at=NOW + timedelta(minutes=minute),
    )


async def see(
    db: AsyncConnection, business_id: int, external_id: str, *, minute: int = 0, **said: str
) -> Resolved:
    """Have somebody seen at a business."""
    one = sighting(business_id, external_id, minute=minute, **said)
    [resolved] = await resolve(db, people=[one], now=NOW, keyring=KEYRING)
    return resolved


async def match(
    db: AsyncConnection, kind: Kind | None = None, *, now: datetime = NOW, learn: bool = True
) -> int:
    """Plan a run and take all of its steps; returns its number."""
    run_id = await plan_matches(db, kind=kind, now=now, keyring=KEYRING, learn=learn)
    while await match_members(db, run_id=run_id, now=now):
        pass
    return run_id


async def members(db: AsyncConnection) -> dict[str, int]:
    """Return whose each account is now, by the business's own ids."""
    rows = await db.execute(
        text("""
          SELECT a.external_id, coalesce(m.merged_into, m.member_id) AS member_id
          FROM account a
          JOIN account_link l ON l.account_id = a.account_id AND upper_inf(l.valid)
          JOIN member m ON m.member_id = l.member_id""")
    )
    return {row.external_id: row.member_id for row in rows}


async def people(db: AsyncConnection) -> set[frozenset[str]]:
    """Return who is one person now: the businesses' own ids of their accounts."""
    found: dict[int, set[str]] = {}
    for external_id, member_id in (await members(db)).items():
        found.setdefault(member_id, set()).add(external_id)
    return {frozenset(accounts) for accounts in found.values()}


async def steps(db: AsyncConnection, kind: str) -> list[tuple[list[str], str | None]]:
    """Return the steps of a kind: the accounts by the businesses' own ids, and the outcome."""
    rows = await db.execute(
        text("""
          SELECT array(SELECT a.external_id FROM unnest(s.account_ids) WITH ORDINALITY AS u (id, n)
            JOIN account a ON a.account_id = u.id ORDER BY u.n) AS accounts, s.outcome
          FROM match_step s WHERE s.kind = :kind ORDER BY s.step"""),
        {"kind": kind},
    )
    return [(list(row.accounts), row.outcome) for row in rows]


async def reviews(db: AsyncConnection) -> list[tuple[str, str, list[int]]]:
    """Return the open doubts: the account, the reason, the candidates."""
    rows = await db.execute(
        text("""
          SELECT a.external_id, r.reason, r.candidates FROM review_item r JOIN account a
            USING (account_id)
          WHERE r.state = 'open' ORDER BY r.review_id""")
    )
    return [(row.external_id, row.reason, list(row.candidates)) for row in rows]


def partition(*groups: Iterable[str]) -> set[frozenset[str]]:
    """Return what `people` returns of these groups."""
    return {frozenset(group) for group in groups}
