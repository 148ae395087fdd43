"""Keep on record what an operation was denied, after it is answered for."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog
from graphql import GraphQLError
from prometheus_client import Counter
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.audit.record_denials import Denied, record_denials
from hub.crypto.tokens import Principal
from hub.errors import Forbidden

DENIED = Counter(
    "hub_denials_total", "What callers were denied, by role and reason", ["role", "reason"]
)
HIDDEN = "hidden"
MUTATION = "mutation"
_UNAUTHENTICATED = "unauthenticated"

log = structlog.get_logger(__name__)


async def keep_denials(
    engine: AsyncEngine,
    principal: Principal | None,
    *,
    operation: str,
    errors: Sequence[GraphQLError] | None,
    answered: Iterable[str],
    hidden: Iterable[tuple[str, str]],
    at: datetime,
) -> None:
    """Record what was refused or hidden, in a transaction of its own; nothing: do nothing.

    `answered` are the arguments that a mutation answered with `Forbidden`, `hidden` are paths and
    the nodes that were asked for there. Who is not signed in is counted
    alone. A database that is away is told to the log: the answer is right as it is.
    """
    denials = [*_refused(operation, errors or ())]
    denials += [
        Denied(operation=operation, path=MUTATION, reason=Forbidden.code, asked=field)
        for field in answered
    ]
    denials += [
        Denied(operation=operation, path=path, reason=HIDDEN, asked=node) for path, node in hidden
    ]
    role = "nobody" if principal is None else principal.role.value
    for one in denials:
        DENIED.labels(role, one.reason).inc()
    if principal is None or not denials:
        return
    try:
        async with engine.begin() as db:
            await record_denials(db, denials=denials, subject=principal.subject, role=role, at=at)
    except (OSError, SQLAlchemyError) as failure:
        log.error(
            "denials_not_recorded",
            subject=principal.subject,
            reasons=[one.reason for one in denials],
            error=type(failure).__name__,
        )


def _refused(operation: str, errors: Iterable[GraphQLError]) -> Iterable[Denied]:
    for error in errors:
        facts = error.extensions or {}
        if facts.get("code") in (Forbidden.code, _UNAUTHENTICATED, "scope_missing"):
            path = ".".join(step for step in error.path or () if isinstance(step, str))
            field = facts.get("field")
            yield Denied(
                operation=operation,
                path=path,
                reason=str(facts["code"]),
                asked=field if isinstance(field, str) else "",
            )
