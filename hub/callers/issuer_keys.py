"""The keys that issuers sign with, fetched when they are needed and kept a while.

A key that is not known has the issuer asked again, but not sooner than RETRY_SECONDS after it was
last asked, so that made-up key ids ask nobody anything. While an issuer is away its keys hold for
KEPT_SECONDS.
"""

import asyncio
import json
import time
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import structlog
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from hub.callers.issuers import LONGEST_TOKEN, Issuer, check_header, peek
from hub.crypto.tokens import Unauthenticated
from hub.errors import Unavailable

FRESH_SECONDS = 600.0
RETRY_SECONDS = 30.0
KEPT_SECONDS = 24 * 3600.0
TIMEOUT_SECONDS = 5.0
LARGEST_ANSWER = 256 * 1024
MOST_KEYS = 50
_LEAST_RSA_BITS = 2048
_KINDS = {"RSA", "EC", "OKP"}
Key = RSAKey | ECKey | OKPKey

log = structlog.get_logger(__name__)


class _Unreadable(Exception):
    """The issuer answered something else than its keys."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an issuer tells: usable keys, what they fit of what is allowed, what else they are for.

    `at` is its clock, to the second.
    """

    keys: int
    algorithms: tuple[str, ...]
    others: tuple[str, ...]
    at: datetime | None


class IssuerKeys:
    """The keys of one issuer, for one process."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self._keys: list[tuple[str | None, Key]] = []
        self._read_at: float | None = None
        self._asked_at: float | None = None
        self._asking = asyncio.Lock()

    async def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that this issuer signed; what they say is not looked at.

        Raises Unauthenticated, and Unavailable when the issuer's keys cannot be had.
        """
        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated("the token is too long", reason="malformed")
        header, _ = peek(token)
        kid = check_header(self.issuer, header)
        key = await self._key(kid, header["alg"])
        try:
            return dict(jwt.decode(token, key, [header["alg"]]).claims)
        except (JoseError, ValueError, TypeError):
            raise Unauthenticated("the token's signature is wrong", reason="invalid") from None

    async def look(self) -> Told:
        """Ask the issuer now, whatever is known of it; raises Unavailable, which says why not."""
        dates: list[datetime] = []

        async def note(answer: httpx2.Response) -> None:
            with suppress(KeyError, ValueError):
                dates.append(parsedate_to_datetime(answer.headers["date"]))

        try:
            keys = await self._fetch(note)
        except (httpx2.HTTPError, _Unreadable, TimeoutError) as failure:
            why = str(failure) if isinstance(failure, _Unreadable) else type(failure).__name__
            raise Unavailable(
                f"the issuer {self.issuer.name} does not tell its keys: {why}"
            ) from None
        fitting = [
            algorithm
            for algorithm in self.issuer.algorithms
            if any(_fits(key, algorithm) for _, key in keys)
        ]
        said = {key.as_dict().get("alg") for _, key in keys} - {None, *self.issuer.algorithms}
        return Told(
            len(keys), tuple(fitting), tuple(sorted(map(str, said))), min(dates, default=None)
        )

    async def _key(self, kid: str | None, algorithm: str) -> Key:
        if self._age() >= FRESH_SECONDS:
            await self._refresh()
        found = self._fitting(kid, algorithm)
        if len(found) != 1:
            await self._refresh()
            found = self._fitting(kid, algorithm)
        if self._age() >= KEPT_SECONDS:
            raise Unavailable(f"the issuer {self.issuer.name} does not tell its keys")
        if len(found) != 1:
            raise Unauthenticated("the issuer has no such key", reason="unknown_key")
        return found[0]

    def _fitting(self, kid: str | None, algorithm: str) -> list[Key]:
        """Return the keys that a token may be signed with; by name, or the only one of its kind."""
        return [
            key
            for name, key in self._keys
            if _fits(key, algorithm) and (kid is None or name == kid)
        ]

    def _age(self) -> float:
        return float("inf") if self._read_at is None else time.monotonic() - self._read_at

    async def _refresh(self) -> None:
        """Ask for the keys, unless somebody did a moment ago; what fails leaves those there are."""
        async with self._asking:
            if self._asked_at is not None and time.monotonic() - self._asked_at < RETRY_SECONDS:
                return
            self._asked_at = time.monotonic()
            try:
                self._keys = await self._fetch()
            except (httpx2.HTTPError, _Unreadable, TimeoutError) as failure:
                why = type(failure).__name__
                log.warning("issuer_away", issuer=self.issuer.name, error=why)
                return
            self._read_at = time.monotonic()

    async def _fetch(
        self, *noted: Callable[[httpx2.Response], Awaitable[None]]
    ) -> list[tuple[str | None, Key]]:
        async with (
            asyncio.timeout(2 * TIMEOUT_SECONDS),
            httpx2.AsyncClient(
                timeout=TIMEOUT_SECONDS,
                follow_redirects=False,
                event_hooks={"response": list(noted)},
            ) as http,
        ):
            address = self.issuer.jwks_uri
            if address is None:
                base = self.issuer.issuer.rstrip("/")
                told = await _json(http, f"{base}/.well-known/openid-configuration")
                if told.get("issuer") != self.issuer.issuer:
                    raise _Unreadable("another issuer's")
                # It is as good as what was configured: the same rule holds for it.
                said = {**self.issuer.model_dump(), "jwks_uri": told.get("jwks_uri")}
                try:
                    address = Issuer.model_validate(said).jwks_uri
                except ValueError as bad:
                    raise _Unreadable("no safe address") from bad
                if address is None:
                    raise _Unreadable("no address")
            keys = (await _json(http, address)).get("keys")
        if not isinstance(keys, list):
            raise _Unreadable("no keys")
        return [found for one in keys[:MOST_KEYS] if (found := _read(one)) is not None]


def _fits(key: Key, algorithm: str) -> bool:
    """Return whether a key is one to prove such signatures with."""
    kind = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey}.get(algorithm[:2], OKPKey)
    return isinstance(key, kind) and key.as_dict().get("alg", algorithm) == algorithm


async def _json(http: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    body = b""
    async with http.stream("GET", url, headers={"accept": "application/json"}) as answer:
        if answer.status_code != 200:
            raise _Unreadable(str(answer.status_code))
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > LARGEST_ANSWER:
                raise _Unreadable("too large")
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as bad:
        raise _Unreadable("no JSON") from bad
    if not isinstance(told, dict):
        raise _Unreadable("no object")
    return told


def _read(said: Any) -> tuple[str | None, Key] | None:
    """Return a public key for signatures; None for any other, which others may have use for."""
    if not isinstance(said, dict) or said.get("kty") not in _KINDS:
        return None
    if said.get("use", "sig") != "sig" or not isinstance(said.get("kid"), str | None):
        return None
    try:
        # Of a key that is too short the library warns; it is refused below.
        with warnings.catch_warnings(action="ignore", category=SecurityWarning):
            key = import_key(said)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, RSAKey) and key.public_key.key_size < _LEAST_RSA_BITS:
        return None
    return (said.get("kid"), key) if isinstance(key, RSAKey | ECKey | OKPKey) else None
