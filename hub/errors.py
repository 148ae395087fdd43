"""What can go wrong, in the hub's own words.

Every error carries a stable `code` and the facts as attributes; nothing here knows of HTTP or
GraphQL. The edges translate.
"""

import re
from typing import Any, ClassVar


class HubError(Exception):
    """Anything the hub says no to, with a stable code and facts for the caller."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class Rejected(HubError):
    """The business says no; asking again with the same request will not help."""

    code = "rejected"


class Conflict(HubError):
    """The same idempotency key came with a different request; `field` names the difference."""

    code = "conflict"

    def __init__(self, message: str, *, field: str, **facts: object) -> None:
        super().__init__(message, field=field, **facts)
        self.field = field


class NotFound(HubError):
    """There is no such thing, or none that the caller may know of."""

    code = "not_found"


class Forbidden(HubError):
    """The caller may not do this."""

    code = "forbidden"


class Unavailable(HubError):
    """Something the hub depends on does not answer; retry later."""

    code = "unavailable"
    retryable = True


class RateLimited(HubError):
    """The caller has asked for too much in too short a time; may go on after `seconds`."""

    code = "rate_limited"
    retryable = True

    def __init__(self, message: str, *, seconds: int, **facts: object) -> None:
        super().__init__(message, seconds=seconds, **facts)
        self.seconds = seconds


class Malformed(HubError):
    """The input does not have the shape it must have; `field` names the place."""

    code = "malformed"

    def __init__(self, message: str, *, field: str, **facts: object) -> None:
        super().__init__(message, field=field, **facts)
        self.field = field


# The driver quotes the value that it could not send.
_SENT = re.compile(r"(query argument \$\d+): .*(?= \()", re.DOTALL)
# The database quotes what it has and what it was given alike.
_VALUE = re.compile(
    r"(?<!constraint )(?<!relation )(?<!column )(?<!table )(?<!index )\"[^\"]*\"", re.DOTALL
)
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
# These quote what stands in the program; all others may quote what somebody sent.
_OF_THE_PROGRAM = (KeyError, AttributeError, TypeError, NameError, ImportError, AssertionError)


def plainly(failure: BaseException) -> str:
    """Say what failed in a line that may be kept or logged: without values, which may name people.

    What the hub itself says is said in full. Of the database's words the details go, which hold
    whole rows; of others', whatever is in quotes.
    """
    name = type(failure).__name__
    if isinstance(failure, (HubError, OSError, *_OF_THE_PROGRAM)):
        return f"{name}: {failure}"
    wrong: Any = getattr(failure, "errors", None)
    if type(failure).__module__.startswith("pydantic") and wrong is not None:
        found = wrong(include_url=False, include_input=False, include_context=False)
        told = [f"{'.'.join(map(str, one['loc']))}: {one['type']}" for one in found]
        return f"{name}: {'; '.join(told)}"
    said = str(getattr(failure, "orig", None) or failure)
    if hasattr(failure, "orig") or type(failure).__module__.startswith("asyncpg"):
        said = _VALUE.sub('"…"', _SENT.sub(r"\1", said.partition("\nDETAIL:")[0]))
    else:
        said = _QUOTED.sub("'…'", said)
    return f"{name}: {said}"
