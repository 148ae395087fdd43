"""People come with their provider's tokens: what is genuine and for the hub, and nothing else."""

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, RSAKey
from sqlalchemy.pool import NullPool

from hub.callers import issuer_keys
from hub.callers.issuers import Issuer, actor, principal_of, read_issuers
from hub.clock import now
from hub.crypto import tokens
from hub.crypto.keyring import Keyring
from hub.crypto.tokens import Principal, Role, Scope, Unauthenticated
from hub.db.engine import make_engine
from hub.entrypoints.web_callers import Callers
from hub.errors import Malformed, Unavailable
from tests.support.issuer import AUDIENCE, EC, RSA, Provider, running_provider

KEYRING = Keyring.generate()
STRANGER = ECKey.generate_key("P-256")
ROLES = {"hub-finance": Role.FINANCE, "hub-staff": Role.STAFF, "m": Role.MEMBER, "b": Role.BUSINESS}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


def issuer(provider: Provider, **more: Any) -> Issuer:
    facts = {"name": "corp", "issuer": provider.url, "audience": AUDIENCE, "roles": ROLES,
             "algorithms": ["RS256", "ES256", "Ed25519"], **more}  # fmt: skip
    return Issuer.model_validate(facts)


def callers(*issuers: Issuer) -> Callers:
    # Whoever has neither client nor session is known without the database.
    engine = make_engine("postgresql://nobody@127.0.0.1:9/none", poolclass=NullPool)
    return Callers(engine, KEYRING, issuers)


def by_hand(header: Any, claims: Any, sign: Callable[[bytes], bytes]) -> str:
    """Write a token as no library would."""

    def coded(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    text = f"{coded(json.dumps(header).encode())}.{coded(json.dumps(claims).encode())}"
    return f"{text}.{coded(sign(text.encode()))}"


async def refused(by: Callers, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await by.known(token)
    return caught.value.reason


@pytest.mark.parametrize(("kid", "alg"), [("rsa", "RS256"), ("ec", "ES256"), ("ed", "Ed25519")])
async def test_a_token_of_each_algorithm_is_its_person(
    provider: Provider, kid: str, alg: str
) -> None:
    by = callers(issuer(provider))
    who, until = await by.known(provider.token(kid, alg))
    assert who == Principal(role=Role.STAFF, subject="corp:ann")
    assert timedelta(minutes=5) < until - now() <= timedelta(minutes=6)
    for _ in range(3):
        await by.known(provider.token(kid, alg, typ=None))
    assert provider.asked == ["/.well-known/openid-configuration", "/keys"]
    own = tokens.issue(KEYRING, tokens.member(7), now=now())
    assert (await by.known(own))[0] == tokens.member(7)


async def test_wrong_tokens_are_refused(provider: Provider) -> None:
    by, at = callers(issuer(provider)), int(now().timestamp())
    await by.known(provider.token())
    for reason, said in (
        ("audience", {"aud": "another"}), ("audience", {"aud": None}), ("audience", {"aud": [1]}),
        ("expired", {"exp": at - 61}), ("invalid", {"exp": None}), ("invalid", {"exp": "soon"}),
        ("invalid", {"exp": True}), ("invalid", {"exp": 1e300}), ("invalid", {"nbf": at + 90}),
        ("invalid", {"iat": at + 90}), ("invalid", {"sub": None}), ("invalid", {"sub": 7}),
        ("no_role", {"roles": None}), ("no_role", {"roles": ["other"]}),
        ("no_role", {"roles": [["hub-staff"]]}), ("no_role", {"roles": {"hub-staff": 1}}),
        ("invalid", {"roles": "m"}), ("invalid", {"roles": "b"}), ("invalid", {"typ": "id+jwt"}),
        ("malformed", {"more": "x" * 20_000}),
    ):  # fmt: skip
        token = provider.token(**said)
        assert await refused(by, token) == reason, said
    many = [f"{AUDIENCE}/other", AUDIENCE]
    assert (await by.known(provider.token(aud=many)))[0].subject == "corp:ann"


async def test_a_public_key_is_no_shared_secret(provider: Provider) -> None:
    by = callers(issuer(provider))
    claims = provider.claims()
    pem = RSA.as_pem(private=False)
    for header, signature in (
        ({"alg": "HS256", "kid": "rsa"}, lambda text: hmac.digest(pem, text, "sha256")),
        ({"alg": "none", "kid": "rsa"}, lambda _: b""),
        ({"alg": "RS256", "kid": "rsa"}, lambda _: b""),
        ({"alg": "RS256", "kid": "rsa", "crit": ["exp"]}, lambda _: b"x"),
        ({"alg": ["RS256"], "kid": "rsa"}, lambda _: b"x"),
        ({"alg": "RS256", "kid": {}}, lambda _: b"x"),
    ):
        assert await refused(by, by_hand(header, claims, signature)) in ("invalid", "malformed")
    # An algorithm that the issuer is not known to use, with its genuine key.
    assert await refused(by, provider.token("rsa", "PS256")) == "invalid"
    # A key of another kind under the name of a known one, and a signature that is another's.
    assert await refused(by, provider.token("rsa", "ES256", key=EC)) == "unknown_key"
    assert await refused(by, provider.token("ec", "ES256", key=STRANGER)) == "invalid"
    carried = {"jwk": STRANGER.as_dict(private=False)}
    token = provider.token("ec", "ES256", key=STRANGER, header=carried)
    assert await refused(by, token) == "invalid"
    # The hub's own tokens are signed by the hub alone, whatever they say.
    own = provider.claims(iss=tokens.ISSUER, aud=tokens.AUDIENCE, role="admin")
    assert await refused(by, jwt.encode({"alg": "RS256", "kid": "1"}, own, RSA, ["RS256"])) in (
        "invalid",
        "unknown_key",
    )


async def test_one_issuer_does_not_speak_for_another(provider: Provider) -> None:
    with running_provider() as other:
        other.keys = {"theirs": STRANGER}
        by = callers(issuer(provider), issuer(other, name="other"))
        assert (await by.known(other.token("theirs", "ES256")))[0].subject == "other:ann"
        mixed = other.token("theirs", "ES256", iss=provider.url)
        assert await refused(by, mixed) == "unknown_key"
        named = other.token("ec", "ES256", key=STRANGER, iss=provider.url)
        assert await refused(by, named) == "invalid"
        unknown = other.token("theirs", "ES256", iss="https://nobody.example.com")
        assert await refused(by, unknown) in ("malformed", "invalid")


async def test_renewed_keys_are_fetched_and_made_up_ones_ask_nothing(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = callers(issuer(provider, jwks_uri=f"{provider.url}/keys"))
    await by.known(provider.token())
    provider.keys["new"] = STRANGER
    for kid in ("x", "../../etc/passwd", "' OR 1=1 --", None):
        token = provider.token(kid, "ES256", key=STRANGER)
        assert await refused(by, token) in ("unknown_key", "invalid")
    assert await refused(by, provider.token("new", "ES256")) == "unknown_key"
    assert provider.asked == ["/keys"]
    monkeypatch.setattr(issuer_keys, "RETRY_SECONDS", 0.0)
    assert (await by.known(provider.token("new", "ES256")))[0].subject == "corp:ann"
    old = provider.token("rsa")
    del provider.keys["rsa"]
    monkeypatch.setattr(issuer_keys, "FRESH_SECONDS", 0.0)
    assert await refused(by, old) == "unknown_key"


async def test_keys_hold_for_a_while_when_their_issuer_is_away(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "RETRY_SECONDS", 0.0)
    by = callers(issuer(provider))
    provider.down = True
    with pytest.raises(Unavailable):
        await by.known(provider.token())
    provider.down = False
    await by.known(provider.token())
    provider.down = True
    monkeypatch.setattr(issuer_keys, "FRESH_SECONDS", 0.0)
    assert (await by.known(provider.token()))[0].subject == "corp:ann"
    monkeypatch.setattr(issuer_keys, "KEPT_SECONDS", 0.0)
    with pytest.raises(Unavailable):
        await by.known(provider.token())


async def test_what_an_issuer_answers_is_not_trusted_blindly(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "RETRY_SECONDS", 0.0)
    with pytest.warns(SecurityWarning):
        small = RSAKey.generate_key(1024)
    secret = OctKey.generate_key(256)
    provider.extra = [7, {"kty": "?"}, {"kty": "RSA"}, {**small.as_dict(private=False), "kid": "s"},
                      {**secret.as_dict(), "kid": "o"}]  # fmt: skip
    by = callers(issuer(provider))
    assert await refused(by, provider.token("s", key=small)) == "unknown_key"
    assert (await by.known(provider.token()))[0].role is Role.STAFF
    for told in (
        {"issuer": "https://other.example.com"},
        {"jwks_uri": "http://internal.example.com/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"more": "x" * 300_000},
    ):
        provider.discovered = told
        with pytest.raises(Unavailable):
            await callers(issuer(provider)).known(provider.token())


def test_claims_become_a_caller_by_the_operators_table() -> None:
    made = Issuer(
        name="corp",
        issuer="https://login.example.com",
        audience="hub",
        role_claim="realm_access.roles",
        roles=ROLES,
        scope_claim="scope",
        member_claim="https://example.com/member",
        business_claim="shop",
    )
    at = now()
    base = {"iss": made.issuer, "aud": "hub", "exp": at.timestamp() + 60, "sub": "x"}

    def caller(roles: list[str], **more: Any) -> Principal:
        claims = {**base, "realm_access": {"roles": roles}, **more}
        return principal_of(made, claims, now=at)[0]

    both = caller(["hub-staff", "hub-finance"], scope="openid settlement:read admin")
    assert (both.role, both.scopes) == (Role.FINANCE, {Scope.SETTLEMENT_READ})
    member = caller(["m"], **{"https://example.com/member": "42", "scope": ["members:read"]})
    assert (member.member_id, member.scopes) == (42, {Scope.MEMBERS_READ})
    assert caller(["b"], shop="jade", scope="").business == "jade"
    for wrong in ("0x1", "-1", "", "٣", 1.5, True, 2**70):
        with pytest.raises(Unauthenticated):
            caller(["m"], **{"https://example.com/member": wrong})


def test_one_person_is_one_name_and_no_other() -> None:
    odd = ["ann", "auth0|ann", "a b", "a" * 61, "安", "sha256-" + "0" * 64, "", "ann\n", "a:b"]
    names = [actor("corp", one) for one in odd]
    assert len(set(names)) == len(odd)
    assert names[0] == "corp:ann"
    assert actor("corp", "auth0|ann") == actor("corp", "auth0|ann")
    for name in names:
        Principal(role=Role.STAFF, subject=name)


@pytest.mark.parametrize(
    "change",
    [
        {"algorithms": ["HS256"]}, {"algorithms": ["none"]}, {"algorithms": []},
        {"issuer": "http://login.example.com"}, {"jwks_uri": "http://x.example.com"},
        {"name": "member"}, {"name": "A"}, {"roles": {}}, {"roles": {"a": "owner"}},
        {"audience": ""}, {"colour": "red"},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_would_not_be_safe_are_refused(change: dict[str, Any]) -> None:
    good = {"name": "corp", "issuer": "https://login.example.com", "audience": "hub",
            "roles": {"s": "staff"}}  # fmt: skip
    assert len(read_issuers(json.dumps([good]))) == 1
    with pytest.raises(Malformed) as caught:
        read_issuers(json.dumps([{**good, **change}]))
    assert caught.value.field == "HUB_OIDC"


def test_issuers_are_read_from_a_file(tmp_path: Path) -> None:
    good = {"name": "corp", "issuer": "https://login.example.com", "audience": "hub",
            "roles": {"s": "staff"}}  # fmt: skip
    place = tmp_path / "oidc.json"
    place.write_text(json.dumps([good]))
    assert read_issuers(str(place))[0].roles == {"s": Role.STAFF}
    assert read_issuers("") == ()
    for wrong in (str(tmp_path / "none"), "[", json.dumps([good, good])):
        with pytest.raises(Malformed):
            read_issuers(wrong)
