"""Pools, as those see them who may."""

from datetime import datetime

import strawberry

from graphql_schema.context import Info
from graphql_schema.fields import count, resolved
from graphql_schema.points import Balance
from hub.points import pool_queries as pools


@strawberry.type(description="Points that several members hold together; each may spend them all.")
class Pool:
    """The open pool that a member is in."""

    pool_id: strawberry.Private[int]
    code: str | None = strawberry.field(
        description="Who has it may join: treat it like a key. Null for everybody but its members."
    )
    opened_at: datetime = strawberry.field(description="When it was opened.")
    members: int = count("How many members are in it.")

    @classmethod
    def of(cls, row: pools.Pool, *, with_code: bool) -> "Pool":
        """Show a pool."""
        return cls(
            pool_id=row.pool_id,
            code=row.code if with_code else None,
            opened_at=row.opened_at,
            members=len(row.member_ids),
        )

    @resolved("What its members hold together. Pools have no qualifying points.")
    async def balance(self, info: Info) -> Balance:
        """Return the pool's balance."""
        return Balance.of(await info.context.load.balances.load(self.pool_id))
