"""The broker: Dramatiq over Redis, stripped of what PostgreSQL does better.

Retries, delays and results are left out: a Redis restart would strand them. See
docs/adr/0001-async-work.md.
"""

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO

QUEUE = "hub"
# In a million: how often a worker looks for what dead workers left behind. The default comes by
# too rarely to matter on a quiet system; ours costs nothing measurable.
MAINTENANCE_CHANCE = 200_000


def make_broker(redis_url: str) -> RedisBroker:
    """Create the broker and make it the one that actors register with."""
    broker = RedisBroker(  # type: ignore[no-untyped-call]
        url=redis_url, middleware=[AsyncIO()], maintenance_chance=MAINTENANCE_CHANCE
    )
    dramatiq.set_broker(broker)
    return broker


def wake(broker: RedisBroker, *, actor: str, message_ids: list[int]) -> None:
    """Tell a worker that `actor` has these messages to work on. Raises what Redis raises."""
    broker.enqueue(
        dramatiq.Message(
            queue_name=QUEUE, actor_name=actor, args=(message_ids,), kwargs={}, options={}
        )
    )
