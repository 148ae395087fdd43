"""What counts and times requests of one kind, looked up once for each."""

from collections.abc import Callable
from functools import cache

from prometheus_client import Counter, Histogram


@cache
def meters(
    counted: Counter, kind: tuple[str, ...], timed: Histogram, name: str
) -> tuple[Callable[[], None], Callable[[float], None]]:
    """Return what counts one and what observes its seconds; there are only so many kinds."""
    return counted.labels(*kind).inc, timed.labels(name).observe
