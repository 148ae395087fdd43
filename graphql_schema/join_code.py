"""The code that a member shows to join a business."""

from datetime import datetime

import strawberry

from graphql_schema.context import Context
from hub.crypto import join_codes


@strawberry.type(description="A member's number, signed, to be scanned at a till.")
class JoinCode:
    """A code that a till hands to `join`."""

    code: str = strawberry.field(description="The text of the QR picture.")
    expires_at: datetime = strawberry.field(description="From when on it opens nothing.")

    @classmethod
    def of(cls, context: Context, member_id: int) -> "JoinCode":
        """Issue one."""
        code, expires_at = join_codes.issue(context.keyring, member_id=member_id, now=context.now)
        return cls(code=code, expires_at=expires_at)
