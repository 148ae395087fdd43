"""Accounts: a member's records at the businesses."""

from datetime import datetime
from typing import ClassVar

import strawberry
from strawberry import relay

from graphql_schema.access import only_business, require
from graphql_schema.context import Info
from graphql_schema.fields import key_of, resolved, shown
from graphql_schema.plan.declared import BusinessOf
from graphql_schema.programme import Business
from hub.crypto.tokens import Role
from hub.members.queries import MemberAccount

AT_OWN = "r.business_id = :own_business_id"
"""Of the rows of a plan: those of what is at the caller's own business."""


@strawberry.type(description="A member's record at one business.")
class Account(relay.Node):
    """An account; its node id holds the member it was reached by."""

    node_key: ClassVar = ("member_id", "account_id")
    member_id: strawberry.Private[int]
    account_id: strawberry.Private[int]
    business_id: strawberry.Private[int]
    external_id: str | None = strawberry.field(
        description="The business's own id for the member; null where the hub keeps the account."
    )
    created_at: datetime = strawberry.field(description="When the hub first saw it.")

    @classmethod
    def resolve_id(cls, root: "Account", *, info: strawberry.Info) -> str:
        """Return the node id's second half."""
        return key_of(cls.node_key, root)

    @classmethod
    def of(cls, member_id: int, row: MemberAccount) -> "Account":
        """Show a member's account."""
        return shown(cls, row, member_id=member_id)

    @resolved("The business whose record it is.", plan=BusinessOf("business_id"))
    async def business(self, info: Info) -> Business:
        """Return the account's business."""
        return Business.of(await info.context.business(self.business_id))


async def visible_accounts(info: Info, member_id: int) -> list[Account]:
    """Return a member's accounts as far as the caller may see them; a business sees its own."""
    caller = require(info.context.principal, Role.MEMBER, Role.BUSINESS, Role.STAFF)
    rows = await info.context.load.accounts.load(member_id) or []
    only = only_business(caller)
    return [
        Account.of(member_id, row)
        for row in rows
        if only is None or (await info.context.business(row.business_id)).code == only
    ]
