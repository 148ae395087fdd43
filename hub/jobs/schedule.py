"""The schedule: which job is due, decided in PostgreSQL so that each slot fires exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.outbox.messages import forget_dead, put

# How long fired slots are remembered: longer than any two schedulers' clocks are apart.
_REMEMBERED = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Job:
    """An actor to wake at the times of a cron expression, read in the group's time zone."""

    actor: str
    cron: str


def slot(job: Job, *, now: datetime, time_zone: str) -> datetime:
    """Return the latest time at or before `now` at which `job` was due."""
    # cronsim looks for what lies before its start; the minute that has begun belongs to us.
    after = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return next(CronSim(job.cron, after.astimezone(ZoneInfo(time_zone)), reverse=True))


async def fire_due(
    db: AsyncConnection, *, jobs: Sequence[Job], now: datetime, time_zone: str
) -> list[str]:
    """Put a message for each job whose latest slot has not fired yet; returns their actors.

    Of several schedulers one fires a slot. It takes the place of an earlier one that died. After an
    outage a job fires once, for its latest slot.
    """
    fired = []
    for job in jobs:
        due = slot(job, now=now, time_zone=time_zone)
        first = await db.scalar(
            text("""
              INSERT INTO job_run (job, slot) VALUES (:job, :slot)
              ON CONFLICT DO NOTHING RETURNING 1"""),
            {"job": job.actor, "slot": due},
        )
        if first:
            await forget_dead(db, actor=job.actor, reference=0)
            await put(db, actor=job.actor, references=[0], available_at=now)
            await db.execute(
                text("DELETE FROM job_run WHERE job = :job AND slot < :forgotten"),
                {"job": job.actor, "forgotten": due - _REMEMBERED},
            )
            fired.append(job.actor)
    return fired
