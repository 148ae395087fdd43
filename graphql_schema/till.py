"""What every request of a till shares: which business it is, and the key that makes it one."""

from dataclasses import dataclass
from datetime import date

import strawberry

from graphql_schema.access import acting_business
from graphql_schema.context import Context
from hub.errors import Forbidden, Malformed
from hub.ledger.post import Answer
from hub.programme.queries import Business

LONGEST_KEY = 190
LARGEST_NUMBER = 2**63
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
    longer configured; Malformed for a key that is empty or too long, and where there is no shop.
    """
    code = acting_code(context, business=business, idempotency_key=idempotency_key)
    found = next((b for b in (await context.load.businesses()).values() if b.code == code), None)
    return till_of(found, idempotency_key=idempotency_key, today=await context.load.today())


def acting_code(context: Context, *, business: str | None, idempotency_key: str) -> str:
    """Return the code of the business that acts; raises what `open_till` does of the caller."""
    code = acting_business(context.principal, asked=business)
    checked_key(idempotency_key, longest=LONGEST_KEY)
    return code


def till_of(business: Business | None, *, idempotency_key: str, today: date) -> Till:
    """Return the till of a business that acts; raises what `open_till` does of the business."""
    if business is None:
        raise Forbidden("the token's business is not part of the group", field="business")
    return Till(business.with_a_shop(), ledger_key(idempotency_key), today)


def ledger_key(idempotency_key: str) -> str:
    """Return the key by which the ledger knows a request of the API."""
    return f"{_PREFIX}{idempotency_key}"


def checked_key(idempotency_key: str, *, longest: int) -> None:
    """Raise Malformed unless the key can be kept with what the API puts before it."""
    if not 1 <= len(idempotency_key) <= longest or not idempotency_key.isprintable():
        raise Malformed(
            f"an idempotency key has 1 to {longest} printable characters",
            field="idempotency_key",
        )


def transaction_number(transaction: str, *, field: str) -> int:
    """Read the number of a transaction, as it is on receipts; raises Malformed naming `field`."""
    if transaction.isascii() and transaction.isdigit() and len(transaction) < 20:
        number = int(transaction)
        if number < LARGEST_NUMBER:
            return number
    raise Malformed("this is no number of a transaction", field=field)


def receipt(answer: Answer) -> strawberry.ID:
    """Return the number of what was posted, as `transaction_number` reads it."""
    return strawberry.ID(str(answer.tx_id))
