"""What an operation asked of the database, for the log of the slow ones.

Statements are told as they are written here, without what was bound to them: no log holds what
people sent.
"""

import time
from contextvars import ContextVar
from typing import Any, Self

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

_LONGEST_TEXT = 300
_SLOWEST = 5


class Statements:
    """The statements of one operation: the seconds that each took, its text, when it began."""

    __slots__ = ("_before", "statements")

    def __init__(self) -> None:
        self.statements: list[tuple[float, str, float]] = []

    def __enter__(self) -> Self:
        """Note what is asked of a database within, on engines that are listened to."""
        self._before = _asked.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _asked.reset(self._before)

    def slowest(self) -> list[dict[str, object]]:
        """Return the statements that took longest, for a log."""
        found = sorted(self.statements, reverse=True)[:_SLOWEST]
        return [
            {"milliseconds": round(seconds * 1000, 1), "sql": " ".join(sql.split())[:_LONGEST_TEXT]}
            for seconds, sql, _ in found
        ]


_asked: ContextVar[Statements | None] = ContextVar("asked", default=None)


def listen(engine: AsyncEngine) -> None:
    """Let `Statements` know of the statements that go through this engine."""
    event.listen(engine.sync_engine, "before_cursor_execute", _began)
    event.listen(engine.sync_engine, "after_cursor_execute", _ended)


def note(statement: str, seconds: float) -> None:
    """Let `Statements` know of a statement that went past the engines and has just ended."""
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
