"""What every request of a till shares: which business it is, and the key that makes it one."""

from dataclasses import dataclass
from datetime import date

from graphql_schema.access import acting_business
from graphql_schema.context import Context
from hub.errors import Forbidden, Malformed, NotFound
from hub.programme.queries import Business

LONGEST_KEY = 190
# Keys of the API and of the connectors share a ledger and must never meet.
_PREFIX = "api:"


@dataclass(frozen=True, slots=True)
class Till:
    """A business that acts, the ledger's idempotency key of its request, and the group's date."""

    business: Business
    idempotency_key: str
    today: date


async def open_till(context: Context, *, business: str | None, idempotency_key: str) -> Till:
    """Return the till that sent a request.

    Raises Unauthenticated; Forbidden for other roles, another's business and one that is no
    longer configured; Malformed for a key that is empty or too long.
    """
    code = acting_business(context.principal, asked=business)
    if not 1 <= len(idempotency_key) <= LONGEST_KEY or not idempotency_key.isprintable():
        raise Malformed(
            f"an idempotency key has 1 to {LONGEST_KEY} printable characters",
            field="idempotency_key",
        )
    try:
        acting = await context.business_by_code(code)
    except NotFound:
        raise Forbidden("the token's business is not part of the group", field="business") from None
    return Till(acting, f"{_PREFIX}{idempotency_key}", await context.load.today())


async def own_account(context: Context, till: Till, member_id: int) -> int | None:
    """Return the member's oldest account at the till's business, to act on; None without one."""
    for account in await context.load.accounts.load(member_id) or []:
        if account.business_id == till.business.business_id:
            return account.account_id
    return None
