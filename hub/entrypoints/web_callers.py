"""Who calls: a token of whatever kind becomes a principal, or is refused.

What has ended is known to every process from a small copy of two tables, which is at most
FRESH_SECONDS old: a disabled client, a secret that was taken back and a session that was signed
out of are refused after that time at the latest. While the database is away the copy may be
KNOWN_SECONDS old; then no token that could have ended is taken.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import HTTPConnection

from hub.callers.issuer_keys import IssuerKeys
from hub.callers.issuers import LONGEST_TOKEN, Issuer, peek, principal_of
from hub.callers.queries import ended_sessions, generations
from hub.clock import now
from hub.crypto import tokens
from hub.crypto.keyring import Keyring
from hub.crypto.tokens import Principal, Unauthenticated
from hub.entrypoints.web_bearer import token_in
from hub.errors import Unavailable

FRESH_SECONDS = 10.0
KNOWN_SECONDS = 30.0
RETRY_SECONDS = 1.0
"""How old the copy may be when a token is met that is younger."""
# Longer than any session's access token lives.
_SESSIONS_WITHIN = timedelta(minutes=20)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Copy:
    """What had ended when it was read."""

    generations: dict[str, int | None]
    sessions: frozenset[int]
    read_at: float


class Callers:
    """Tells callers by their tokens, for one process."""

    def __init__(
        self, engine: AsyncEngine, keyring: Keyring, issuers: Sequence[Issuer] = ()
    ) -> None:
        self._engine, self._keyring = engine, keyring
        self._issuers = {one.issuer: IssuerKeys(one) for one in issuers}
        self._copy: _Copy | None = None
        self._reading = asyncio.Lock()

    async def of(self, request: HTTPConnection) -> Principal | None:
        """Return who calls, by the bearer token; None without one.

        What the request is refused from then on is on record as theirs (web_denials). Raises
        Unauthenticated, and Unavailable while it cannot be known whether a token ended.
        """
        who = await self.by(request.headers.get("authorization"))
        request.state.principal = who
        return who

    async def by(self, authorization: str | None) -> Principal | None:
        """Return who calls with such a header; None without one. Raises what `of` does."""
        return None if authorization is None else (await self.known(token_in(authorization)))[0]

    async def known(self, token: str) -> tuple[Principal, datetime]:
        """Return who a token speaks for, and until when; raises what `of` does."""
        issuer = self._issuer(token) if self._issuers else None
        if issuer is not None:
            return principal_of(issuer.issuer, await issuer.claims(token), now=now())
        who, until = tokens.verify_until(self._keyring, token, now=now())
        await self.refuse_ended(who)
        return who, until

    def _issuer(self, token: str) -> IssuerKeys | None:
        """Return who says to have issued a token; None: the hub itself, or nobody known."""
        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated("the token is too long", reason="malformed")
        _, name = peek(token)
        return self._issuers.get(name) if isinstance(name, str) else None

    async def refuse_ended(self, who: Principal) -> None:
        """Raise Unauthenticated if the client or session behind a token has ended."""
        if who.client is None and who.session is None:
            return
        copy = await self._fresh(FRESH_SECONDS)
        if who.client is not None:
            known = copy.generations.get(who.client, 0)
            if known is not None and known < who.generation:
                # The token is younger than the copy.
                copy = await self._fresh(RETRY_SECONDS)
                known = copy.generations.get(who.client)
            if known != who.generation:
                raise Unauthenticated("the client or its secret has ended", reason="ended")
        if who.session in copy.sessions:
            raise Unauthenticated("the session was signed out of", reason="ended")

    async def _fresh(self, seconds: float) -> _Copy:
        """Return a copy that is at most so old; one at a time reads a new one."""
        copy = self._copy
        if copy is not None and _age(copy) < seconds:
            return copy
        async with self._reading:
            copy = self._copy
            if copy is not None and _age(copy) < seconds:
                return copy
            try:
                self._copy = copy = await self._read()
            except (SQLAlchemyError, OSError) as away:
                log.warning("ended_unknown", error=type(away).__name__)
                if copy is None or _age(copy) >= KNOWN_SECONDS:
                    raise Unavailable("it cannot be known whether this token ended") from None
        return copy

    async def _read(self) -> _Copy:
        began = time.monotonic()
        async with self._engine.connect() as db:
            return _Copy(
                await generations(db),
                await ended_sessions(db, now=now(), within=_SESSIONS_WITHIN),
                began,
            )


def _age(copy: _Copy) -> float:
    return time.monotonic() - copy.read_at
