"""A till with a member before it: all that a redemption has to know first, in one statement."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from strawberry import relay

from graphql_schema.access import caller_facts, sees_member
from graphql_schema.context import Context
from graphql_schema.finding import MemberKey, node_key, presented_digests
from graphql_schema.member import Member, hide_member
from graphql_schema.till import Till, acting_code, till_of
from hub.clock import business_date
from hub.db.caller import Presented
from hub.db.relation import parameters, within
from hub.members.queries import ACCOUNTS, OWNER, known
from hub.programme.acceptance import AcceptanceRule
from hub.programme.acting import ACTING, acting_of

_TYPES = {
    "code": "text",
    "now": "timestamptz",
    "business": "text",
    "own_member_id": "bigint",
    "member_ids": "bigint[]",
    "kind": "smallint",
    "digests": "bytea[]",
}
"""The parameters that the statement may have."""


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
    code = acting_code(context, business=asked.business, idempotency_key=asked.idempotency_key)
    facts: dict[str, Any] = {"code": code, "now": context.now, **caller_facts(context.principal)}
    presented: Presented | None = None
    if isinstance(asked.member.id, relay.GlobalID):
        found = known(sees_member(context.principal))
        facts["member_ids"] = node_key(asked.member.id, "Member", parts=1, field="member")
    else:
        found, presented = OWNER, await presented_digests(context, asked.member, field="member")
        facts["kind"], facts["digests"] = presented
    statement, names = _statement(found.sql)
    row = await context.fetch(statement, [facts[name] for name in names], presented=presented)
    member_id, account_id, *shop = row
    acting = None if shop[0] is None else acting_of(shop)
    if acting is not None and acting.group_zone is not None:
        today = business_date(context.now, acting.group_zone)
    else:
        today = await context.load.today()  # says that there is no group
    business = None if acting is None else acting.business
    till = till_of(business, idempotency_key=asked.idempotency_key, today=today)
    if member_id is None:
        if presented is None:
            hide_member(context, *facts["member_ids"])
        return None
    if presented is not None:
        await context.present(member_id)
    return Counter(till, Member(member_id=member_id), account_id, acting and acting.acceptance)


@cache
def _statement(found: str) -> tuple[str, tuple[str, ...]]:
    """Return the statement for a way to find the member, and its parameters' names in order."""
    of_found = "(SELECT array_agg(member_id) FROM found)"
    accounts = within(ACCOUNTS.sql, lambda _: of_found)
    sql = f"""WITH found AS MATERIALIZED ({found}), accounts AS ({accounts})
SELECT (SELECT member_id FROM found),
  (SELECT min(account_id) FROM accounts a WHERE a.business_id = acting.business_id),
  acting.* FROM (VALUES (1)) one LEFT JOIN ({ACTING.sql}) acting ON true"""  # noqa: S608 - constants of ours
    names = tuple(sorted(parameters(sql)))
    return within(sql, lambda name: f"${names.index(name) + 1}::{_TYPES[name]}"), names
