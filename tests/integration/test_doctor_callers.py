"""What `hub doctor` finds of who may call: issuers, secrets, documents."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers.create_client import create_client
from hub.callers.rotate_secret import rotate_secret
from hub.clock import now
from hub.config import Settings
from hub.crypto.scopes import Role
from hub.entrypoints import check_callers
from hub.entrypoints.checks import Finding, Verdict
from tests.support.issuer import AUDIENCE, RSA, Provider, running_provider

OK, WARNING, PROBLEM = Verdict.OK, Verdict.WARNING, Verdict.PROBLEM


async def issuers(provider: Provider, **said: Any) -> list[Finding]:
    one = {"name": "corp", "issuer": provider.url, "audience": AUDIENCE, "roles": {"a": "admin"}}
    settings = Settings(oidc=json.dumps([{**one, **said}]))
    return [finding async for finding in check_callers.issuers(settings)]


async def test_an_issuer_is_asked_for_its_keys_and_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running_provider() as provider:
        [well] = await issuers(provider)
        assert well == Finding(OK, "the issuer corp tells 3 keys, for RS256, ES256, EdDSA")
        [other] = await issuers(provider, algorithms=["ES384"])
        assert other.verdict is OK  # an elliptic key may be for any curve: only a token tells
        provider.keys = {"rsa": type(RSA).import_key({**RSA.as_dict(), "alg": "RS512"})}
        [unfit] = await issuers(provider)
        assert (unfit.verdict, "they are for RS512" in unfit.says) == (PROBLEM, True)
        provider.keys = {}
        [none] = await issuers(provider)
        assert (none.verdict, "0 are usable" in none.says) == (PROBLEM, True)
        provider.keys = {"rsa": RSA}
        for seconds, verdict in ((45, WARNING), (-45, WARNING), (90, PROBLEM)):
            at = now() + timedelta(seconds=seconds)
            monkeypatch.setattr(check_callers, "now", lambda at=at: at)
            _, skew = await issuers(provider)
            assert skew.verdict is verdict
            assert ("ahead of" if seconds > 0 else "behind") in skew.says
        provider.discovered = {"issuer": "https://other.example"}
        [foreign] = await issuers(provider)
        assert (foreign.verdict, "another issuer's" in foreign.says) == (PROBLEM, True)
        provider.down = True
        [down] = await issuers(provider)
        assert (down.verdict, "503" in down.says) == (PROBLEM, True)
    [away] = await issuers(provider)
    assert (away.verdict, "ConnectError" in away.says) == (PROBLEM, True)
    [bad] = [one async for one in check_callers.issuers(Settings(oidc="[{}]"))]
    assert (bad.verdict, "HUB_OIDC" in bad.says) == (PROBLEM, True)


async def test_documents_are_read_as_the_server_reads_them(tmp_path: Path) -> None:
    async def found(**chosen: Any) -> list[Finding]:
        return [one async for one in check_callers.documents(Settings(**chosen))]

    assert await found() == []
    [none] = await found(only_documents=True)
    [missing] = await found(documents=tmp_path / "none.json")
    assert (none.verdict, missing.verdict) == (PROBLEM, PROBLEM)
    path = tmp_path / "documents.json"
    path.write_text(json.dumps({"0" * 64: "{ programme { name } }"}))
    [unfit] = await found(documents=path)
    assert (unfit.verdict, "SHA-256" in unfit.says) == (PROBLEM, True)
    path.write_text("{}")
    [well] = await found(documents=path)
    assert well.verdict is OK


async def test_a_secret_that_ends_while_it_is_in_use_is_told(db: AsyncConnection) -> None:
    async def say(change: str) -> str:
        await db.execute(text(change))
        finding = await check_callers.secrets(db)
        return "" if finding.verdict is OK else finding.says

    at = now() - timedelta(days=1)
    facts: dict[str, Any] = {"role": Role.STAFF, "business": None, "scopes": None}
    await create_client(db, client_id="desk", name="Desk", actor="cy", now=at, **facts)
    await rotate_secret(db, client_id="desk", keep_days=3, actor="cy", now=at)
    assert await say("SELECT 1") == ""
    assert (await check_callers.secrets(db)).says == "the secrets of 1 client are in order"
    old = "WHERE expires_at IS NOT NULL"
    assert "one of desk that is in use ends" in await say(
        f"UPDATE api_client_secret SET last_used_at = now() {old}"
    )
    assert await say("UPDATE api_client_secret SET last_used_at = NULL") == ""
    assert "is in use since" in await say(
        "UPDATE api_client_secret SET created_at = now() - interval '2 years', "
        "last_used_at = now(), expires_at = NULL"
    )
    gone = "UPDATE api_client_secret SET expires_at = now() - interval '1 hour'"
    assert "desk has none" in await say(gone)
    assert await say("UPDATE api_client SET disabled_at = now(), disabled_by = 'cy'") == ""
