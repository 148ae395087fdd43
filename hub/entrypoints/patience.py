"""Patience: who asks is answered before they give up, whatever the database does meanwhile."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hub.connector import Connector

T = TypeVar("T")

# Of what a system waits, the share that is spent on trying; the rest is for the way back.
_SHARE = 0.75
# Nobody's request may hold a connection to the database for longer, however patient its sender is.
_LONGEST_SECONDS = 10.0
# Before a connection's dialect is known: no system that we know of waits for less than two.
UNKNOWN_SECONDS = 1.5

_given_up: set[asyncio.Task[Any]] = set()


def patience_seconds(connector: Connector) -> float:
    """Return for how long a delivery of this dialect may be tried."""
    return min(connector.spec.acknowledge_within_seconds * _SHARE, _LONGEST_SECONDS)


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns; raises TimeoutError after `seconds`.

    `work` is then cancelled, but not waited for: to take back a statement from a stuck server may
    take seconds more. It may still commit what it was about to: whoever asks must be able to ask
    again without a second effect.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if done:
        return task.result()
    task.cancel()
    _given_up.add(task)
    task.add_done_callback(_let_go)
    raise TimeoutError(f"there was no answer within {seconds:g} seconds")


def _let_go(task: asyncio.Task[Any]) -> None:
    _given_up.discard(task)
    if not task.cancelled():
        task.exception()  # taken, so that nobody is told of what was given up
