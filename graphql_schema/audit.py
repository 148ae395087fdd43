"""Who read whose personal data in full: a line in the log for each time."""

import structlog

from hub.crypto.tokens import Principal, Role


def read_in_full(caller: Principal, *, member_id: int, attribute: str) -> None:
    """Log that the caller was shown a personal field in full; of a member's own nothing is said."""
    if caller.role is not Role.MEMBER:
        structlog.get_logger(__name__).info(
            "personal_data_read",
            subject=caller.subject,
            role=caller.role.value,
            member_id=member_id,
            attribute=attribute,
        )
