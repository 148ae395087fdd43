"""Subscriptions: a balance, a tier, a close, as they are and as they become."""

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry
from strawberry import relay

from graphql_schema.access import CLOSE_READERS, MEMBER_READERS, SETTLEMENT_READERS, require
from graphql_schema.benefits import Tier
from graphql_schema.context import Context, Info
from graphql_schema.fields import subscribed
from graphql_schema.finding import node_key
from graphql_schema.member import visible_member
from graphql_schema.points import Balance
from graphql_schema.recognition import own_id
from graphql_schema.settlement import SettlementPeriod, period_node
from graphql_schema.watching import Look, states
from hub.errors import Malformed, NotFound
from hub.jobs.changes import member_key, period_key

OfMember = Annotated[
    relay.GlobalID | None,
    strawberry.argument(
        description="Whose: the node id of a member whom the caller may see; unsaid: one's own."
    ),
]


@strawberry.type(
    description="Everything that can be watched. The state is told at once, and again whenever it "
    "has changed; states that lasted only a moment may be left out."
)
class Subscription:
    """All subscriptions."""

    @subscribed("A member's balance. All counts are points.")
    def balance_changed(self, info: Info, member: OfMember = None) -> AsyncGenerator[Balance, None]:
        """Tell the balance, and every other that it becomes."""
        context = info.context

        async def look() -> Look[Balance]:
            member_id, keys = await _watched(context, member)
            shown = Balance.of(await context.load.balances.load(member_id))
            return Look(keys, shown, shown)

        return states(context, look)

    @subscribed(
        "Where a member stands on the ladder; told when the tier has changed, not with "
        "every step on the way to the next."
    )
    def tier_changed(self, info: Info, member: OfMember = None) -> AsyncGenerator[Tier, None]:
        """Tell the tier, and every other that it becomes."""
        context = info.context

        async def look() -> Look[Tier]:
            member_id, keys = await _watched(context, member)
            shown = Tier.of(await context.load.standings.load(member_id))
            return Look(keys, (shown.code, shown.since), shown)

        return states(context, look)

    @subscribed(
        "A settlement period: its state and payments, and for finance and staff its "
        "checks and every step of its close. For finance, staff and businesses."
    )
    def settlement_progress(
        self,
        info: Info,
        period: Annotated[str, strawberry.argument(description="2026-11 or 2026-11-03.")],
    ) -> AsyncGenerator[SettlementPeriod, None]:
        """Tell the period whenever something the caller may see of it has changed."""

        async def look() -> Look[SettlementPeriod]:
            found = await period_node(info, period)
            if found is None:
                raise NotFound("there is no such period", field="period")
            mark = await _progress(info.context, found)
            return Look((period_key(found.row.period_id),), mark, found)

        return states(info.context, look)


async def _watched(context: Context, asked: relay.GlobalID | None) -> tuple[int, tuple[str, ...]]:
    """Return who is watched, as the member now is, and what to watch for.

    Raises Unauthenticated, Forbidden, Malformed, and NotFound for whom the caller may not see.
    """
    caller = require(context.principal, *MEMBER_READERS)
    if asked is None:
        given = caller.member_id
        if given is None:
            raise Malformed("say whose: you are no member", field="member")
    else:
        (given,) = node_key(asked, "Member", parts=1, field="member")
    found = await visible_member(context, given)
    if found is None:
        raise NotFound("there is no such member", field="member")
    # Of one who was merged away, what is told may name either.
    return found.member_id, (member_key(given), member_key(found.member_id))


async def _progress(context: Context, period: SettlementPeriod) -> object:
    """Return what the caller may see that moves."""
    caller = require(context.principal, *SETTLEMENT_READERS)
    period_id, load, own = period.row.period_id, context.load, await own_id(context)
    payments = [
        row
        for row in await load.payments.load(period_id)
        if own in (None, row.debtor_id, row.creditor_id)
    ]
    if caller.role not in CLOSE_READERS:
        return period.row, payments
    return (
        period.row,
        payments,
        await load.close_steps.load(period_id),
        await load.period_checks.load(period_id),
        await load.period_events.load(period_id),
    )
