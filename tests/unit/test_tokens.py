"""Access tokens: what is signed comes back, and nothing else does."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from hub.clock import now
from hub.crypto import tokens
from hub.crypto.keyring import Keyring, Purpose, ensure
from hub.crypto.tokens import Principal, Role, Scope, Unauthenticated
from hub.entrypoints.commands.token import token as command
from hub.errors import Malformed

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring.generate()
PRINCIPALS = [
    tokens.member(42),
    tokens.business("bund-retail"),
    Principal(role=Role.STAFF, subject="ann"),
    Principal(role=Role.FINANCE, subject="bo@group"),
    Principal(role=Role.ADMIN, subject="cy", scopes=frozenset()),
    Principal(
        role=Role.BUSINESS,
        subject="client:till-7",
        business="bund-retail",
        scopes=frozenset({Scope.POINTS_REDEEM, Scope.MEMBERS_READ}),
        client="till-7",
        generation=3,
    ),
    Principal(role=Role.MEMBER, subject="member:42", member_id=42, session=7),
]
GOOD: dict[str, Any] = {
    "iss": tokens.ISSUER,
    "aud": tokens.AUDIENCE,
    "sub": "ann",
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 60,
    "role": "staff",
}


def forge(claims: dict[str, Any], *, key: bytes | None = None, kid: str = "1") -> str:
    signing = OctKey.import_key(key or KEYRING.token_key())
    return jwt.encode({"alg": "HS256", "kid": kid}, claims, signing, ["HS256"])


def refused(token: str, *, now: datetime = NOW, keyring: Keyring = KEYRING) -> str:
    with pytest.raises(Unauthenticated) as caught:
        tokens.verify(keyring, token, now=now)
    assert not token or token[-10:] not in caught.value.message
    return caught.value.reason


@pytest.mark.parametrize("principal", PRINCIPALS, ids=lambda p: p.subject)
def test_what_is_issued_is_what_is_verified(principal: Principal) -> None:
    token = tokens.issue(KEYRING, principal, now=NOW, ttl_seconds=60)
    assert tokens.verify(KEYRING, token, now=NOW + timedelta(seconds=59)) == principal
    assert refused(token, now=NOW + timedelta(seconds=60)) == "expired"


def test_a_good_forgery_is_accepted_so_that_the_bad_ones_fail_for_their_own_reason() -> None:
    assert tokens.verify(KEYRING, forge(GOOD), now=NOW).role is Role.STAFF


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp", "role"])
def test_every_claim_is_required(claim: str) -> None:
    assert refused(forge({k: v for k, v in GOOD.items() if k != claim})) == "invalid"


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "another-hub"},
        {"aud": "another-api"},
        {"role": "owner"},
        {"role": "member"},
        {"role": "member", "member": "42"},
        {"role": "member", "member": True},
        {"member": 42},
        {"role": "business"},
        {"business": "bund-retail"},
        {"sub": "two words"},
        {"scope": ["members:read"]},
        {"client_id": 7},
        {"generation": "1"},
        {"session": True},
        {"iat": int(NOW.timestamp()) + 3600, "exp": int(NOW.timestamp()) + 7200},
        {"exp": int(NOW.timestamp()) + tokens.LONGEST_TTL_SECONDS + 3600},
        {"exp": "tomorrow"},
        {"exp": float("nan")},
    ],
    ids=str,
)
def test_claims_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    assert refused(forge({**GOOD, **change})) == "invalid"


def test_a_scope_takes_away_and_never_gives() -> None:
    who = tokens.verify(KEYRING, forge({**GOOD, "scope": "settlement:read admin mail"}), now=NOW)
    assert who.scopes == {Scope.SETTLEMENT_READ}
    assert who.may(Scope.SETTLEMENT_READ)
    assert not any(who.may(scope) for scope in (Scope.ADMIN, Scope.MEMBERS_READ))
    whole = tokens.verify(KEYRING, forge(GOOD), now=NOW)
    assert whole.may(Scope.MEMBERS_PERSONAL)
    assert not whole.may(Scope.SETTLEMENT_CLOSE)


def test_another_key_another_algorithm_and_none_are_refused() -> None:
    assert refused(forge(GOOD, key=b"x" * 32)) == "invalid"
    _, claims, _ = forge(GOOD).split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "1"}).encode())
    assert refused(f"{unsigned.decode().rstrip('=')}.{claims}.") == "invalid"
    hs512 = jwt.encode(
        {"alg": "HS512", "kid": "1"}, GOOD, OctKey.import_key(KEYRING.token_key()), ["HS512"]
    )
    assert refused(hs512) == "invalid"


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "….….…", "x" * 5000])
def test_what_is_no_token_is_refused(text: str) -> None:
    assert refused(text) == "malformed"


def test_a_renewed_key_signs_while_the_old_one_still_verifies() -> None:
    old = tokens.issue(KEYRING, PRINCIPALS[0], now=NOW)
    renewed = KEYRING.renewed(Purpose.TOKEN)
    assert tokens.verify(renewed, old, now=NOW) == PRINCIPALS[0]
    new = tokens.issue(renewed, PRINCIPALS[0], now=NOW)
    assert refused(new, keyring=KEYRING) == "unknown_key"


@pytest.mark.parametrize("ttl", [0, -1, tokens.LONGEST_TTL_SECONDS + 1])
def test_a_lifetime_out_of_bounds_is_malformed(ttl: int) -> None:
    with pytest.raises(Malformed) as caught:
        tokens.issue(KEYRING, PRINCIPALS[0], now=NOW, ttl_seconds=ttl)
    assert caught.value.field == "ttl_seconds"


def test_the_command_prints_a_token_of_this_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUB_STATE_DIR", str(tmp_path))
    keyring = ensure(tmp_path / "keyring.json")
    for given, expected in [
        ({"role": Role.MEMBER, "member": 42}, tokens.member(42)),
        ({"role": Role.BUSINESS, "business": "bund-retail"}, tokens.business("bund-retail")),
        ({"role": Role.STAFF, "subject": "ann"}, Principal(role=Role.STAFF, subject="ann")),
        (
            {"role": Role.ADMIN, "subject": "cy", "scope": ["admin"]},
            Principal(role=Role.ADMIN, subject="cy", scopes=frozenset({Scope.ADMIN})),
        ),
    ]:
        command(**given)
        printed = capsys.readouterr().out.strip()
        assert tokens.verify(keyring, printed, now=now()) == expected
    for wrong in (
        {"role": Role.STAFF, "member": 1},
        {"role": Role.MEMBER},
        {"role": Role.BUSINESS},
        {"role": Role.STAFF, "scope": ["admin"]},
    ):
        with pytest.raises(Malformed):
            command(**wrong)


def test_a_token_that_is_known_still_ends_and_still_needs_its_key() -> None:
    token = tokens.issue(KEYRING, PRINCIPALS[0], now=NOW, ttl_seconds=60)
    for _ in range(2):
        assert tokens.verify(KEYRING, token, now=NOW) == PRINCIPALS[0]
    with pytest.raises(Unauthenticated) as ended:
        tokens.verify(KEYRING, token, now=NOW + timedelta(seconds=61))
    assert ended.value.reason == "expired"
    with pytest.raises(Unauthenticated) as foreign:
        tokens.verify(Keyring.generate(), token, now=NOW)
    assert foreign.value.reason == "invalid"
    assert tokens.verify(KEYRING, token, now=NOW) == PRINCIPALS[0]
