"""What runs behind the sockets: subscriptions, counted by caller, each with its own context."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from graphql import FieldNode, GraphQLError, get_operation_ast, parse
from prometheus_client import Counter as Count
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncEngine
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from graphql_schema.errors import told
from graphql_schema.schema import HubSchema
from graphql_schema.watching import Watching
from hub.clock import now
from hub.config import Settings
from hub.crypto.keyring import Keyring
from hub.crypto.tokens import Principal
from hub.entrypoints.web_allowance import Allowance
from hub.entrypoints.web_denials import keep_denials
from hub.entrypoints.web_documents import Documents
from hub.errors import HubError, Rejected
from hub.jobs.changes import Changes

LIVE = Gauge("hub_graphql_subscriptions", "Subscriptions under way", ["operation"])
TOLD = Count("hub_graphql_states_total", "States told to subscriptions", ["operation"])


class TooManySubscriptions(Rejected):
    """A caller watches as much as one caller may."""

    code = "too_many_subscriptions"


@dataclass(slots=True)
class Caller:
    """Who is at the other end of a socket, once that is known.

    `signed_in` then says until when the token lives.
    """

    connection_params: dict[str, object] = field(default_factory=dict)
    authorization: str | None = None
    principal: Principal | None = None
    signed_in: asyncio.Future[datetime] = field(default_factory=asyncio.Future)


class Streams:
    """Subscriptions as a socket asks for them, in the place of a schema.

    Half of a process's connections to the database are for looks; the others are for requests.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        engine: AsyncEngine,
        readers: AsyncEngine,
        keyring: Keyring,
        schema: HubSchema,
        documents: Documents,
        allowance: Allowance,
        changes: Changes,
    ) -> None:
        self.documents = documents
        self._settings, self._keyring = settings, keyring
        self._engine, self._readers = engine, readers
        self._schema, self._allowance, self._changes = schema, allowance, changes
        self._turns = asyncio.Semaphore(max(settings.pool_size // 2, 1))
        self._held: Counter[str] = Counter()

    async def stream(
        self,
        query: str,
        *,
        variable_values: dict[str, Any] | None,
        context_value: Caller,
        root_value: object,
        operation_name: str | None,
    ) -> AsyncGenerator[ExecutionResult]:
        """Return the answers to one operation. `root_value` is for schemas that have one."""
        return self._answers(query, context_value, variable_values, operation_name)

    async def _answers(
        self,
        query: str,
        caller: Caller,
        variables: dict[str, Any] | None,
        name: str | None,
    ) -> AsyncGenerator[ExecutionResult]:
        label = self.documents.name(query)
        try:
            self.documents.refuse_unknown(query)
            with self._counted(caller), LIVE.labels(label).track_inprogress():
                context = self._context(caller)
                answers = self._schema.watch(
                    query, context, variable_values=variables, operation_name=name
                )
                async with aclosing(answers):
                    async for answer in answers:
                        TOLD.labels(label).inc()
                        hidden = list(context.hidden)
                        context.hidden.clear()
                        await self._keep(caller, query, name, answer, hidden)
                        yield answer
        except HubError as no:
            answer = refusal(no)
            await self._keep(caller, query, name, answer)
            yield answer

    async def _keep(
        self,
        caller: Caller,
        query: str,
        name: str | None,
        answer: ExecutionResult,
        hidden: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Record what a state leaves out because the caller may not see it."""
        await keep_denials(
            self._engine,
            caller.principal,
            operation=self.documents.name(query),
            errors=answer.errors,
            root=partial(_root, query, name),
            answered=(),
            hidden=hidden,
            at=now(),
        )

    @contextmanager
    def _counted(self, caller: Caller) -> Iterator[None]:
        who, most = _subject(caller), self._settings.subscriptions_per_caller
        if self._held[who] >= most:
            raise TooManySubscriptions(f"a caller may have {most} subscriptions at once")
        self._held[who] += 1
        try:
            yield
        finally:
            self._held[who] -= 1
            if not self._held[who]:
                del self._held[who]

    def _context(self, caller: Caller) -> Watching:
        return Watching(
            self._engine,
            readers=self._readers,
            keyring=self._keyring,
            principal=caller.principal,
            clock=now,
            charge=partial(self._allowance.spend, _subject(caller)),
            changes=self._changes,
            turns=self._turns,
            look_seconds=self._settings.operation_seconds,
        )


def refusal(no: HubError) -> PreExecutionError:
    """Return a refusal as the answer to an operation that does not begin."""
    return PreExecutionError(data=None, errors=[told(GraphQLError(no.message, original_error=no))])


def _root(query: str, name: str | None) -> str:
    """Return the field that a subscription is of."""
    with suppress(GraphQLError):
        operation = get_operation_ast(parse(query), name)
        for one in operation.selection_set.selections if operation else ():
            if isinstance(one, FieldNode):
                return one.name.value
    return ""


def _subject(caller: Caller) -> str:
    return caller.principal.subject if caller.principal else ""
