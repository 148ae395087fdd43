"""What can go wrong, in the hub's own words.

Every error carries a stable `code` and the facts as attributes; nothing here knows of HTTP or
GraphQL. The edges translate.
"""

from typing import ClassVar


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
