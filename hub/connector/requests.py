"""What no request to an upstream may hold, though the ids that it is made of can."""

from collections.abc import Mapping

from hub.errors import Malformed

_LONGEST_PATH = 8000


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
