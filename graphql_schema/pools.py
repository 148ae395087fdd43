"""Pools, as those see them who may."""

from datetime import datetime

import strawberry

from graphql_schema.access import reads_pool_code
from graphql_schema.context import Info
from graphql_schema.fields import count, resolved, said, shown
from graphql_schema.plan.declared import Column, Related
from graphql_schema.points import SPENDABLE, Balance
from hub.ledger.queries import BALANCES
from hub.points import pool_queries as pools


@strawberry.type(description="Points that several members hold together; each may spend them all.")
class Pool:
    """The open pool that a member is in."""

    pool_id: strawberry.Private[int]
    code: str | None = said(
        "Who has it may join: treat it like a key. Null for everybody but its members.",
        plan=Column(readers=reads_pool_code),
    )
    opened_at: datetime = strawberry.field(description="When it was opened.")
    members: int = count("How many members are in it.", column="size")

    @classmethod
    def of(cls, row: pools.Pool, *, with_code: bool) -> "Pool":
        """Show a pool."""
        return shown(cls, row, code=row.code if with_code else None)

    @resolved("What its members hold together. Pools have no qualifying points.",
              plan=Related(relation=BALANCES, key="pool_id", facts=SPENDABLE))  # fmt: skip
    async def balance(self, info: Info) -> Balance:
        """Return the pool's balance."""
        return Balance.of(await info.context.load.balances.load(self.pool_id))
