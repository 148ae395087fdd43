"""Keep on record what a caller was denied, after it is answered for."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime

import structlog
from graphql import GraphQLError
from prometheus_client import Counter
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request

from hub.audit.record_denials import Denied, record_denials
from hub.clock import now
from hub.crypto.tokens import Principal, Unauthenticated
from hub.errors import Forbidden, HubError

DENIED = Counter(
    "hub_denials_total", "What callers were denied, by role and reason", ["role", "reason"]
)
HIDDEN = "hidden"
MUTATION = "mutation"
HTTP = "http"
_UNAUTHENTICATED = Unauthenticated.code

log = structlog.get_logger(__name__)


async def keep_denials(
    engine: AsyncEngine,
    principal: Principal | None,
    *,
    operation: str,
    errors: Sequence[GraphQLError] | None,
    answered: Iterable[str],
    hidden: Iterable[tuple[str, str]],
    root: Callable[[], str] = str,
    at: datetime,
) -> None:
    """Record what was refused or hidden, in a transaction of its own; nothing: do nothing.

    `answered` are the arguments that a mutation answered with `Forbidden`, `hidden` are paths and
    the nodes that were asked for there. `root` tells the field of what failed before it began.
    Who is not signed in is counted alone. A database that is away is told to the log: the answer
    is right as it is.
    """
    denials = [*_refused(operation, errors or (), root)]
    denials += [
        Denied(operation=operation, path=MUTATION, reason=Forbidden.code, asked=field)
        for field in answered
    ]
    denials += [
        Denied(operation=operation, path=path, reason=HIDDEN, asked=node) for path, node in hidden
    ]
    await _keep(engine, principal, denials, at=at)


async def keep_refusal(request: Request, error: HubError) -> None:
    """Record that a route refused its caller, or answered as if there were no such thing.

    A route says what is then asked for: `hide`.
    """
    field = error.facts.get("field")
    asked = field if isinstance(field, str) else ""
    if not isinstance(error, Forbidden | Unauthenticated):
        hidden: str | None = getattr(request.state, "hidden", None)
        if hidden is None:
            return
        asked = hidden
    one = Denied(
        operation=HTTP,
        path=getattr(request.scope.get("route"), "path", ""),
        reason=error.code if isinstance(error, Forbidden | Unauthenticated) else HIDDEN,
        asked=asked,
    )
    hub = request.app.state.hub
    if not hasattr(request.state, "principal"):
        # It was refused before it was asked who calls.
        with suppress(HubError):
            await hub.callers.of(request)
    principal = getattr(request.state, "principal", None)
    await _keep(hub.engine, principal, [one], at=now())


def hide(request: Request, what: str | None) -> None:
    """Say what is answered as not there from here on, to be recorded so; None: no more."""
    request.state.hidden = what


async def _keep(
    engine: AsyncEngine, principal: Principal | None, denials: Sequence[Denied], *, at: datetime
) -> None:
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


def _refused(
    operation: str, errors: Iterable[GraphQLError], root: Callable[[], str]
) -> Iterable[Denied]:
    for error in errors:
        facts = error.extensions or {}
        if facts.get("code") in (Forbidden.code, _UNAUTHENTICATED, "scope_missing"):
            steps = [step for step in error.path or () if isinstance(step, str)]
            field = facts.get("field")
            yield Denied(
                operation=operation,
                path=".".join(steps) or root(),
                reason=str(facts["code"]),
                asked=field if isinstance(field, str) else "",
            )
