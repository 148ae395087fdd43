"""One line of JSON per event. Bodies, tokens and names of people are never logged."""

import logging
import traceback
from collections.abc import Iterator, MutableMapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import structlog

from hub.errors import plainly

REQUEST: ContextVar[str | None] = ContextVar("request", default=None)
"""The id of the request that is under way, which every line of the log says."""


def configure_logs(level: str) -> None:
    """Send structlog's events to standard output at `level` (debug, info, warning, error)."""
    number = logging.getLevelNamesMapping()[level.upper()]
    heard = logging.StreamHandler()
    heard.setFormatter(_Plain(logging.BASIC_FORMAT))
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[heard])
    # Its every request would be a line of ours, with the upstream's address.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[
            _of_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_told),
            structlog.processors.JSONRenderer(),
        ],
        cache_logger_on_first_use=True,
    )


def _of_request(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    request_id = REQUEST.get()
    if request_id is not None:
        event["request_id"] = request_id
    return event


class _Plain(logging.Formatter):
    """What libraries log of a failure is told as ours is."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's name
        return _told(ei)


def _told(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """Write a traceback, with what each failure says of no person (hub.errors.plainly)."""
    return "".join(_chain(exc_info[1])).rstrip("\n")


def _chain(failure: BaseException, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    before = failure.__cause__ or (None if failure.__suppress_context__ else failure.__context__)
    if before is not None and id(before) not in seen:
        yield from _chain(before, seen | {id(failure)})
        yield "\nwhich led to\n\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(failure.__traceback__)
    if not isinstance(failure, BaseExceptionGroup):
        yield f"{plainly(failure)}\n"
        return
    yield f"{type(failure).__name__} of {len(failure.exceptions)}\n"
    for one in failure.exceptions:
        yield from _chain(one, seen | {id(failure)})
