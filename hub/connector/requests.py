"""What no request may hold, though the ids that it is made of can, and when to ask again."""

from collections.abc import Mapping

from hub.errors import Malformed

_LONGEST_PATH = 8000
_SHORTEST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 86_400.0


def require_sendable(path: str, headers: Mapping[str, str] | None) -> None:
    """Raise Malformed for a path that leads elsewhere or a header that cannot be sent.

    A dialect escapes the ids it asks for, but two dots are resolved even where they are escaped.
    """
    if len(path) > _LONGEST_PATH or not (path.isascii() and path.isprintable()):
        raise Malformed("a path is of printable ASCII and not endless", field="path")
    if not {".", ".."}.isdisjoint(path.partition("?")[0].split("/")):
        raise Malformed("a path has no parts of dots", field=path)
    for name, value in (headers or {}).items():
        if not (value.isascii() and value.isprintable()):
            raise Malformed("a header is of printable ASCII", field=name)


def retry_after_seconds(value: str | None) -> float | None:
    """Read Retry-After in seconds (RFC 9110, 10.2.3); a date, which hardly anybody sends, is left
    to the backoff. Who says 0 is not asked again at once, or it would be asked for ever; who says
    more than a day is asked again after one.
    """
    if value is None or not (value.isascii() and value.isdigit()):
        return None
    return min(max(float(value), _SHORTEST_RETRY_SECONDS), _LONGEST_RETRY_SECONDS)
