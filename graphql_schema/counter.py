"""A till with a member before it: all that a redemption has to know first, in one statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol

import structlog
from asyncpg import InterfaceError, PostgresError
from strawberry import relay

from graphql_schema.access import sees_member
from graphql_schema.context import Context
from graphql_schema.finding import MemberKey, node_key, presented_digests
from graphql_schema.member import Member
from graphql_schema.plan.run import NO_VARIABLES, Run
from graphql_schema.plan.statement import Statement, Value
from graphql_schema.till import Till, acting_code, ledger_key, till_of
from hub.clock import business_date
from hub.db.caller import Caller, Presented
from hub.db.relation import Relation, parameters
from hub.ledger.post import Answer
from hub.members.queries import ACCOUNTS, OWNER, known
from hub.points.redeem_at_till import redeem_at_till
from hub.programme.acceptance import AcceptanceRule
from hub.programme.acting import ACTING, acting_of

log = structlog.get_logger(__name__)

_TYPES = {"member_ids": "bigint[]", "kind": "smallint", "digests": "bytea[]"}
"""What a member may be found by."""
_TILL = Caller(role="hub_business", business="")
"""A reader of the kind that tills are."""


class Asked(Protocol):
    """What is asked at a counter."""

    member: MemberKey
    idempotency_key: str
    business: str | None


class Redeeming(Asked, Protocol):
    """A redemption that is asked for."""

    points: int
    bill_minor: int | None
    award: str | None
    category: str | None


@dataclass(frozen=True, slots=True)
class Counter:
    """A till with a member before it: their account there, and how it takes points now."""

    till: Till
    member: Member
    account_id: int | None
    acceptance: AcceptanceRule | None


@dataclass(frozen=True, slots=True)
class Sought:
    """Whom a till that may act asks for, and how the database is asked for them."""

    found: Relation
    facts: Mapping[str, Any]
    presented: Presented | None


async def seek(context: Context, asked: Asked) -> Sought:
    """Return whom a till asks for; raises as `acting_code` and `reached_member` do."""
    acting_code(context, business=asked.business, idempotency_key=asked.idempotency_key)
    if isinstance(asked.member.id, relay.GlobalID):
        found = known(sees_member(context.principal))
        member_ids = node_key(asked.member.id, "Member", parts=1, field="member")
        return Sought(found, {"member_ids": member_ids}, None)
    presented = await presented_digests(context, asked.member, field="member")
    return Sought(OWNER, {"kind": presented[0], "digests": presented[1]}, presented)


async def open_counter(
    context: Context, asked: Asked, sought: Sought | None = None
) -> Counter | None:
    """Return where points are to be spent; None for a member who may not be known there.

    Raises as `seek`, unless that was done, and as `open_till`.
    """
    sought = sought or await seek(context, asked)
    facts, presented = sought.facts, sought.presented
    caller = context.reader.facts(presented)
    run = Run(context, NO_VARIABLES, asked=[facts], caller=caller)
    statement, values = _statement(sought.found.sql)
    rows = await context.fetch(statement, [value(run) for value in values])
    members, accounts, shops = rows[1:]
    acting = acting_of(shops[0]) if shops else None
    if acting is not None and acting.group_zone is not None:
        today = business_date(context.now, acting.group_zone)
    else:
        today = await context.load.today()  # says that there is no group
    business = None if acting is None else acting.business
    till = till_of(business, idempotency_key=asked.idempotency_key, today=today)
    if acting is not None:
        context.remember(acting)
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


async def redeemed_at_once(
    context: Context, asked: Redeeming, sought: Sought
) -> tuple[Answer, Member] | None:
    """Redeem in one round trip what most tills ask for, and commit it; None: nothing was done.

    Whatever fails is met again by who then asks the long way, under the same key.
    """
    acting = context.acting
    if acting is None or asked.award is not None or asked.category is not None:
        return None
    try:
        answer = await redeem_at_till(
            context.post,
            acting=acting,
            member=sought.presented or sought.facts["member_ids"][0],
            points=asked.points,
            bill_minor=asked.bill_minor,
            idempotency_key=ledger_key(asked.idempotency_key),
            now=context.now,
        )
    except (PostgresError, InterfaceError, OSError) as failure:
        log.warning("at_once_failed", error=type(failure).__name__)
        return None
    if answer is None:
        return None
    if sought.presented is not None:
        await context.present(answer.member_id)
    return answer, Member(member_id=answer.member_id)


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
