"""The scheduler: relays the outbox to the broker, sweeps what got lost, fires what is due.

Any number may run at once. Everything it knows is in PostgreSQL.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from time import monotonic

import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import NullPool

from hub.clock import now
from hub.config import Settings
from hub.crypto.keyring import load
from hub.db.engine import make_engine
from hub.egress.changed_members import changed_members
from hub.egress.note import note
from hub.entrypoints.listening import Listeners
from hub.errors import HubError, NotFound
from hub.jobs.broker import make_broker, wake
from hub.jobs.changes import EVERYTHING, MOST_KEYS, announce, anybody_listens, member_key
from hub.jobs.client import make_client
from hub.jobs.schedule import Job, fire_due
from hub.jobs.wake import WakeUps
from hub.outbox.messages import claim, sweep, under_way
from hub.programme.queries import programme

RELAY_LIMIT = 500
BATCH = 100
POLL_SECONDS = 1.0
GATHER_SECONDS = 0.04
# With so many batches before it an actor is busy: what comes then waits, and makes a larger batch.
# So the cost of a message falls as load rises. A batch counts for a second; it may wait itself.
BUSY_BATCHES = 3
BUSY_SECONDS = 1.0
SWEEP_SECONDS = 5.0
TICK_SECONDS = 10.0
NOTE_SECONDS = 1.0

JOBS = (
    Job("settlement.open_month", "1 0 * * *"),
    Job("settlement.ask_due", "15 * * * *"),
    Job("benefits.requalify", "2 0 * * *"),
    Job("benefits.spare", "5 0 * * *"),
    Job("points.expire", "10 0 * * *"),
    Job("points.notify_expiry", "20 0 * * *"),
    Job("benefits.notify_tiers", "25 0 * * *"),
    Job("vouchers.expire", "12 * * * *"),
    Job("vouchers.lapse", "* * * * *"),
    Job("vouchers.notify_ending", "25 0 * * *"),
    # A day begins on the full hour somewhere, and half an hour later elsewhere.
    Job("benefits.give_occasions", "1,31 * * * *"),
    Job("members.learn_shared", "40 0 * * *"),
    # After what many people share is known, and before the shops open.
    Job("intake.match_members", "30 2 * * *"),
    Job("members.forget_verifications", "*/10 * * * *"),
    Job("callers.forget", "*/10 * * * *"),
    Job("intake.pull", "* * * * *"),
    Job("intake.forget", "50 0 * * *"),
    Job("egress.forget", "55 0 * * *"),
    Job("points.lapse", "* * * * *"),
    Job("entitlements.lapse", "* * * * *"),
    Job("entitlements.expire", "8 0 * * *"),
    Job("rewards.lapse", "* * * * *"),
    Job("memberships.give", "* * * * *"),
    # Points become active as a trading day begins, on the full hour somewhere; nobody waits for it.
    Job("points.activate", "5 * * * *"),
    Job("ledger.roll_up", "* * * * *"),
    Job("settlement.watch_credit", "* * * * *"),
    Job("ledger.partitions", "20 0 * * *"),
    Job("audit.anchor", "30 0 * * *"),
    Job("audit.seal_denials", "35 * * * *"),
)

log = structlog.get_logger(__name__)


class Scheduler:
    """The loops of one scheduler process."""

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        self._engine = engine
        self._lease_seconds = settings.lease_seconds
        self._redis = make_client(settings.require_redis_url())
        self._broker = make_broker(settings.require_redis_url())
        self._wake_ups = WakeUps(self._redis)
        self._batches: dict[int, tuple[str, float]] = {}
        self._seen: str | None = None

    async def run(self) -> None:
        """Run until cancelled. A failure of one round is logged, and the next round tries again."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._wake_ups.listen())
            loops.create_task(self._forever(self._relay, pause=self._until_woken))
            loops.create_task(self._forever(self._sweep, pause=_seconds(SWEEP_SECONDS)))
            loops.create_task(self._forever(self._fire, pause=_seconds(TICK_SECONDS)))
            loops.create_task(self._forever(self._note, pause=_seconds(NOTE_SECONDS)))
            loops.create_task(self._forever(self.tell_changes, pause=_seconds(NOTE_SECONDS)))

    async def aclose(self) -> None:
        """Close the connections to the broker."""
        await self._redis.aclose()
        self._broker.close()

    async def _forever(
        self, step: Callable[[], Awaitable[None]], pause: Callable[[], Awaitable[None]]
    ) -> None:
        while True:
            try:
                await step()
            except (SQLAlchemyError, RedisError, OSError) as failure:
                log.warning("round_failed", step=step.__name__, error=type(failure).__name__)
                await asyncio.sleep(1)
            await pause()

    async def _until_woken(self) -> None:
        """Wait for work, and then a moment for more of it: together it costs less."""
        await asyncio.sleep(GATHER_SECONDS)
        if not self._busy():
            await self._wake_ups.wait(at_most_seconds=POLL_SECONDS)

    async def _relay(self) -> None:
        """Send everything that is due. The broker has the ids before the commit: see `claim`."""
        while await self.relay_once() == RELAY_LIMIT:
            pass

    async def relay_once(self) -> int:
        """Send up to RELAY_LIMIT messages, grouped into batches; returns how many."""
        async with self._engine.begin() as db:
            await self._look_after_batches(db)
            claimed = await claim(db, now=now(), limit=RELAY_LIMIT, busy=self._busy(), enough=BATCH)
            by_actor: dict[str, list[int]] = defaultdict(list)
            for message in claimed:
                by_actor[message.actor].append(message.message_id)
            for actor, ids in by_actor.items():
                for start in range(0, len(ids), BATCH):
                    batch = ids[start : start + BATCH]
                    await asyncio.to_thread(wake, self._broker, actor=actor, message_ids=batch)
                    self._batches[batch[0]] = (actor, monotonic())
        return len(claimed)

    async def _look_after_batches(self, db: AsyncConnection) -> None:
        """Forget the batches that are done, each known by its first message, or sent long ago."""
        if not self._batches:
            return
        still = await under_way(db, list(self._batches))
        oldest = monotonic() - BUSY_SECONDS
        self._batches = {
            first: (actor, sent)
            for first, (actor, sent) in self._batches.items()
            if first in still and sent > oldest
        }

    def _busy(self) -> set[str]:
        batches = Counter(actor for actor, _ in self._batches.values())
        return {actor for actor, n in batches.items() if n >= BUSY_BATCHES}

    async def _sweep(self) -> None:
        async with self._engine.begin() as db:
            overdue = await sweep(db, now=now(), lease_seconds=self._lease_seconds)
        if overdue:
            log.info("swept", messages=overdue)

    async def _note(self) -> None:
        """Make events of what was committed, for those who subscribed."""
        async with self._engine.begin() as db:
            await note(db, now=now())

    async def tell_changes(self) -> None:
        """Announce whose points or tier what was committed has moved, if anybody listens.

        Every scheduler does, each from what it has seen itself: to be told twice does no harm.
        """
        if not await anybody_listens(self._redis):
            self._seen = None
            return
        async with self._engine.connect() as db:
            changed = await changed_members(db, since=self._seen, most=MOST_KEYS)
        keys = {member_key(member_id) for member_id in changed.member_ids}
        await announce(self._redis, {EVERYTHING} if changed.all_of_them else keys)
        self._seen = changed.seen

    async def _fire(self) -> None:
        async with self._engine.begin() as db:
            try:
                zone = (await programme(db)).time_zone
            except NotFound:
                return  # no group is configured yet: nothing can be due
            fired = await fire_due(db, jobs=JOBS, now=now(), time_zone=zone)
        if fired:
            log.info("fired", jobs=fired)


def _seconds(pause: float) -> Callable[[], Awaitable[None]]:
    return lambda: asyncio.sleep(pause)


async def serve(settings: Settings) -> None:
    """Run a scheduler until cancelled."""
    engine = make_engine(settings.require_database_url(), pool_size=4)
    # A listener keeps its connection for as long as it listens, and closes it at the end.
    lines = make_engine(settings.require_database_url(), poolclass=NullPool)
    scheduler = Scheduler(engine, settings)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(scheduler.run())
            both.create_task(_listen(lines, settings))
    finally:
        await scheduler.aclose()
        await engine.dispose()
        await lines.dispose()


async def _listen(engine: AsyncEngine, settings: Settings) -> None:
    """Listen to what systems stream; without the keyring nothing that came could be kept."""
    try:
        keyring = load(settings.keyring_path)
    except HubError as why:
        log.warning("not_listening", reason=why.message)
        return
    await Listeners(engine, keyring).run()
