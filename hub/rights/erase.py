"""Erase: forget who a member is, for ever, and leave the ledger as it stands."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.occasions.forget import forget_occasions
from hub.benefits.rewards.forget import forget_deliveries
from hub.benefits.vouchers.forfeit_vouchers import forfeit_vouchers
from hub.callers.forget_sign_ins import forget_sign_ins
from hub.crypto.keyring import Keyring
from hub.errors import Rejected
from hub.intake.mentions import mentions
from hub.intake.shred import shred
from hub.members.family import Family, lock_family
from hub.members.forget import forget
from hub.points.checks import LONGEST_REASON, named, reasoned
from hub.points.forfeit import forfeit
from hub.points.leave_pool import leave_pool
from hub.points.pool_queries import lock_own_pool
from hub.privacy.queries import retentions
from hub.rights.words import words_of


class ErasureForbidden(Rejected):
    """A retention forbids that this member is erased now."""

    code = "erasure_forbidden"


class PointsLeft(Rejected):
    """The member still has points, and nobody said that they may end."""

    code = "points_left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erasure destroyed: points that ended, accounts made unreadable, bodies shredded."""

    member_id: int
    erased_at: datetime
    points: int
    accounts: int
    deliveries: int


async def erase(
    db: AsyncConnection,
    *,
    member_id: int,
    reason: str,
    erased_by: str,
    forfeit_points: bool,
    today: date,
    now: datetime,
    keyring: Keyring,
) -> Erased:
    """Destroy all that tells who a member, with all merged into it, is. It cannot be undone.

    Data keys, profiles, identifiers, doubts and sign-ins go, and the bodies of stored deliveries
    that tell of the person. Entries and accounts stay: numbers that name nobody, so that the ledger
    still proves itself and what the businesses owe each other stands. Points end first, as an
    expiry, and vouchers are voided. Data that arrives again on the same accounts leads to nobody.
    Erased before: the first answer.

    Raises NotFound; ErasureForbidden while a retention holds; PointsHeld while points are set
    aside; PointsLeft when there are points and `forfeit_points` does not say that they may end;
    Unavailable when the member changes at this moment; Malformed for words that say nothing.
    """
    reasoned(reason)
    named(erased_by, field="erased_by")
    family = await lock_family(db, member_id=member_id)
    if family.erased_at is not None:
        return await _erased_before(db, family.member_id)
    for retention in await retentions(db, member_ids=family.member_ids, now=now):
        until = f"until {retention.ends_at.isoformat()}" if retention.ends_at else "until released"
        raise ErasureForbidden(
            f"retention {retention.retention_id} forbids it {until}: {retention.reason}",
            member_id=family.member_id,
            retention_id=retention.retention_id,
        )
    points = await _end_points(
        db, family, reason=reason, forfeit_points=forfeit_points, today=today, now=now
    )
    await forfeit_vouchers(db, member_ids=family.member_ids, reason="erased", now=now)
    words = await words_of(db, family=family, keyring=keyring)
    told = mentions(db, account_ids=family.account_ids, telling=words, keyring=keyring)
    shredded = await shred(db, delivery_ids=[one.delivery_id async for one in told], now=now)
    await forget_sign_ins(db, member_ids=family.member_ids)
    await forget_deliveries(db, member_ids=family.member_ids)
    await forget_occasions(db, member_ids=family.member_ids, account_ids=family.account_ids)
    await forget(db, family=family, actor=erased_by, now=now)
    erased = Erased(
        member_id=family.member_id,
        erased_at=now,
        points=points,
        accounts=len(family.accounts),
        deliveries=shredded,
    )
    await db.execute(
        text("""
          INSERT INTO erasure (member_id, erased_at, points, accounts, deliveries, erased_by,
            reason)
          VALUES (:member_id, :erased_at, :points, :accounts, :deliveries, :erased_by, :reason)"""),
        {
            "member_id": erased.member_id,
            "erased_at": now,
            "points": points,
            "accounts": erased.accounts,
            "deliveries": shredded,
            "erased_by": erased_by,
            "reason": reason,
        },
    )
    return erased


async def _erased_before(db: AsyncConnection, member_id: int) -> Erased:
    row = await db.execute(
        text("""
          SELECT member_id, erased_at, points, accounts, deliveries FROM erasure
          WHERE member_id = :member_id"""),
        {"member_id": member_id},
    )
    return Erased(**row.one()._asdict())


async def _end_points(
    db: AsyncConnection,
    family: Family,
    *,
    reason: str,
    forfeit_points: bool,
    today: date,
    now: datetime,
) -> int:
    """Take what the members have out of pools, and end it. Asks whether it may, before it does."""
    pooled = [m for m in sorted(family.member_ids) if await lock_own_pool(db, member_id=m)]
    left = await db.scalar(
        text("""
          SELECT coalesce(sum(l.remaining), 0) FROM lot l WHERE l.open AND (
            l.member_id = ANY (CAST(:members AS bigint[]))
            OR (l.origin_id = ANY (CAST(:members AS bigint[])) AND l.member_id IN (
              SELECT p.pool_id FROM pool_member p WHERE p.left_at IS NULL
                AND p.member_id = ANY (CAST(:members AS bigint[])))))"""),
        {"members": list(family.member_ids)},
    )
    if left and not forfeit_points:
        raise PointsLeft(
            f"the member has {left} points: let them be spent first, or say that they may end",
            member_id=family.member_id,
            points=int(left),
        )
    for member_id in pooled:
        await leave_pool(
            db,
            business_id=family.accounts[0].business_id,
            member_id=member_id,
            idempotency_key=f"erase:{member_id}",
            occurred_at=now,
            business_date=today,
            today=today,
            now=now,
        )
    why = f"erased: {reason}"[:LONGEST_REASON]
    return sum(
        [
            await forfeit(db, member_id=member_id, reason=why, today=today, now=now)
            for member_id in sorted(family.member_ids)
        ]
    )
