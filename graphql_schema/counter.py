"""A till with a member before it: all that a redemption has to know first, in one statement."""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol

from strawberry import relay

from graphql_schema.access import sees_member
from graphql_schema.context import Context
from graphql_schema.finding import MemberKey, node_key, presented_digests
from graphql_schema.member import Member
from graphql_schema.plan.run import NO_VARIABLES, Run
from graphql_schema.plan.statement import Statement, Value
from graphql_schema.till import Till, acting_code, till_of
from hub.clock import business_date
from hub.db.caller import Caller, Presented
from hub.db.relation import Relation, parameters
from hub.members.queries import ACCOUNTS, OWNER, known
from hub.programme.acceptance import AcceptanceRule
from hub.programme.acting import ACTING, acting_of

_TYPES = {"member_ids": "bigint[]", "kind": "smallint", "digests": "bytea[]"}
"""What a member may be found by."""
_TILL = Caller(role="hub_business", business="")
"""A reader of the kind that tills are."""


class Asked(Protocol):
    """What is asked at a counter."""

    member: MemberKey
    idempotency_key: str
    business: str | None


@dataclass(frozen=True, slots=True)
class Counter:
    """A till with a member before it: their account there, and how it takes points now."""

    till: Till
    member: Member
    account_id: int | None
    acceptance: AcceptanceRule | None


async def open_counter(context: Context, asked: Asked) -> Counter | None:
    """Return where points are to be spent; None for a member who may not be known there.

    Raises as `open_till` and `reached_member` do.
    """
    acting_code(context, business=asked.business, idempotency_key=asked.idempotency_key)
    presented: Presented | None = None
    if isinstance(asked.member.id, relay.GlobalID):
        found = known(sees_member(context.principal))
        member_ids = node_key(asked.member.id, "Member", parts=1, field="member")
        facts: dict[str, Any] = {"member_ids": member_ids}
    else:
        found, presented = OWNER, await presented_digests(context, asked.member, field="member")
        facts = {"kind": presented[0], "digests": presented[1]}
    run = Run(context, NO_VARIABLES, asked=[facts], caller=context.reader.facts(presented))
    statement, values = _statement(found.sql)
    rows = await context.fetch(statement, [value(run) for value in values])
    members, accounts, shops = rows[1:]
    acting = acting_of(shops[0]) if shops else None
    if acting is not None and acting.group_zone is not None:
        today = business_date(context.now, acting.group_zone)
    else:
        today = await context.load.today()  # says that there is no group
    business = None if acting is None else acting.business
    till = till_of(business, idempotency_key=asked.idempotency_key, today=today)
    if not members:
        if presented is None:
            context.hide_member(*facts["member_ids"])
        return None
    member_id: int = members[0][0]
    if presented is not None:
        await context.present(member_id)
    account_id = accounts[0][0] if accounts else None
    return Counter(
        till, Member(member_id=member_id), account_id, acting.acceptance if acting else None
    )


@cache
def _statement(found: str) -> tuple[str, tuple[Value, ...]]:
    """Return the statement for a way to find the member, and what gives its parameters."""
    statement = Statement(_TILL)
    live = {
        name: statement.parameter(_TYPES[name], partial(_asked, name))
        for name in sorted(parameters(found) & _TYPES.keys())
    }
    who = statement.table(Relation(found, ("member_id",)), live)
    who.pick("member_id")
    accounts = statement.table(
        ACCOUNTS,
        {"member_ids": who.all("member_id")},
        where="r.business_id = (SELECT b.business_id FROM business b WHERE b.code = :business)",
    )
    accounts.pick("account_id")
    shop = statement.table(ACTING, {})
    for column in ACTING.columns:
        shop.pick(column)
    for level in (who, accounts, shop):
        statement.column(level)
    return statement.sql, statement.values


def _asked(name: str, run: Run) -> Any:
    return run.asked[0][name]
