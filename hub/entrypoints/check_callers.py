"""What `hub doctor` looks at of who may call: issuers, clients' secrets, known documents."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.schema import build_schema
from hub.callers.issuer_keys import IssuerKeys, Told
from hub.callers.issuers import SKEW_SECONDS, Issuer, read_issuers
from hub.callers.queries import Client, clients
from hub.clock import now
from hub.config import Settings
from hub.entrypoints.checks import Finding, Verdict
from hub.entrypoints.web_documents import read_documents
from hub.errors import Malformed, Unavailable
from hub.units import many

ENDING = timedelta(days=7)
"""How long before a secret in use ends it is said."""
IN_USE = timedelta(days=2)
OLD = timedelta(days=365)


async def issuers(settings: Settings) -> AsyncIterator[Finding]:
    """Do the issuers of people's tokens tell keys that we may use, and the time that we have?"""
    try:
        known = read_issuers(settings.oidc)
    except Malformed as bad:
        yield Finding(Verdict.PROBLEM, bad.message, "docs/access.md, People")
        return
    for issuer in known:
        try:
            told = await IssuerKeys(issuer).look()
        except Unavailable as away:
            yield Finding(
                Verdict.PROBLEM,
                away.message,
                f"check `issuer` and `jwks_uri` of {issuer.name} in HUB_OIDC, and the way there; "
                "people sign in with keys that are known already for a day",
            )
            continue
        for finding in _of_issuer(issuer, told, now()):
            yield finding


def _of_issuer(issuer: Issuer, told: Told, at: datetime) -> Iterator[Finding]:
    allowed = ", ".join(issuer.algorithms)
    if not told.algorithms:
        what = f"for {', '.join(told.others)}" if told.others else "usable"
        yield Finding(
            Verdict.PROBLEM,
            f"of the keys of {issuer.name} none fits what is allowed ({allowed}): "
            + (f"they are {what}" if told.others else f"{told.keys} are {what}"),
            f"say under `algorithms` of {issuer.name} in HUB_OIDC what it signs with",
        )
    else:
        fit = ", ".join(told.algorithms)
        yield Finding(Verdict.OK, f"the issuer {issuer.name} tells {told.keys} keys, for {fit}")
    ahead = 0 if told.at is None else int((at - told.at).total_seconds())
    if abs(ahead) > SKEW_SECONDS // 2:
        verdict = Verdict.PROBLEM if abs(ahead) > SKEW_SECONDS else Verdict.WARNING
        side = "ahead of" if ahead > 0 else "behind"
        yield Finding(
            verdict,
            f"our clock is {abs(ahead)} seconds {side} that of {issuer.name}: "
            f"tokens are taken with {SKEW_SECONDS} to spare",
            "let both keep time (NTP)",
        )


async def documents(settings: Settings) -> AsyncIterator[Finding]:
    """Are the documents that operations are known by there, and valid by this schema?"""
    if settings.documents is None and not settings.only_documents:
        return
    try:
        read_documents(settings.documents, build_schema(), only=settings.only_documents)
    except Malformed as bad:
        yield Finding(
            Verdict.PROBLEM, bad.message, "`hub serve` does not start with it: docs/graphql.md"
        )
        return
    yield Finding(Verdict.OK, f"the documents of {settings.documents} are valid")


async def secrets(db: AsyncConnection) -> Finding:
    """Does a secret that is in use end soon, or is one old? Has a client none?"""
    if await db.scalar(text("SELECT to_regclass('api_client_secret')")) is None:
        return Finding(Verdict.OK, "no client has a secret: there is no schema yet")
    at = now()
    found = [one for one in await clients(db, now=at) if one.disabled_at is None]
    said = [say for client in found for say in _of_client(client, at)]
    if said:
        return Finding(
            Verdict.WARNING,
            f"clients' secrets: {'; '.join(said)}",
            "give the system its new secret, or make one: `hub client rotate ID --keep-days N`",
        )
    return Finding(Verdict.OK, f"the secrets of {many(len(found), 'client')} are in order")


def _of_client(client: Client, at: datetime) -> Iterator[str]:
    if not client.secrets:
        yield f"{client.client_id} has none that still holds"
    for one in client.secrets:
        used = one.last_used_at is not None and at - one.last_used_at < IN_USE
        if one.expires_at is not None and used and one.expires_at - at < ENDING:
            ends = f"{one.expires_at.astimezone(UTC):%Y-%m-%d %H:%M}"
            yield f"one of {client.client_id} that is in use ends at {ends} UTC"
        elif one.expires_at is None and used and at - one.created_at > OLD:
            yield f"one of {client.client_id} is in use since {one.created_at:%Y-%m-%d}"
