"""What an operation asked of the database, for the log of the slow ones.

Statements are told as they are written here, without what was bound to them: no log holds what
people sent.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

_LONGEST_TEXT = 300
_SLOWEST = 5


@dataclass(slots=True)
class Asked:
    """The statements of one operation: the seconds that each took, its text, when it began."""

    statements: list[tuple[float, str, float]] = field(default_factory=list)

    def slowest(self) -> list[dict[str, object]]:
        """Return the statements that took longest, for a log."""
        found = sorted(self.statements, reverse=True)[:_SLOWEST]
        return [
            {"milliseconds": round(seconds * 1000, 1), "sql": " ".join(sql.split())[:_LONGEST_TEXT]}
            for seconds, sql, _ in found
        ]


_asked: ContextVar[Asked | None] = ContextVar("asked", default=None)


@contextmanager
def watched() -> Iterator[Asked]:
    """Note what is asked of a database within, on engines that are listened to."""
    asked = Asked()
    token = _asked.set(asked)
    try:
        yield asked
    finally:
        _asked.reset(token)


def listen(engine: AsyncEngine) -> None:
    """Let `watched` know of the statements that go through this engine."""
    event.listen(engine.sync_engine, "before_cursor_execute", _began)
    event.listen(engine.sync_engine, "after_cursor_execute", _ended)


def note(statement: str, seconds: float) -> None:
    """Let `watched` know of a statement that went past the engines and has just ended."""
    asked = _asked.get()
    if asked is not None:
        asked.statements.append((seconds, statement, time.perf_counter() - seconds))


def _began(*facts: Any) -> None:
    context = facts[4]
    if context is not None:
        context.began_at = time.perf_counter()


def _ended(*facts: Any) -> None:
    statement, context = facts[2], facts[4]
    if context is not None:
        note(statement, time.perf_counter() - context.began_at)
