"""Passkeys (WebAuthn level 3): what an authenticator is asked, and what of its answer holds. Pure.

A passkey is a key of the member's device, found without a name and unlocked by the member there:
possession and presence at once, so that it signs in by itself.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

TTL_SECONDS = 300
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """For which domain passkeys are, and on which pages they may be used."""

    id: str
    origins: tuple[str, ...]
    name: str = "Membership"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that an authenticator made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


def creation_options(
    party: RelyingParty,
    *,
    challenge: bytes,
    user_handle: bytes,
    member_id: int,
    known: Sequence[bytes],
) -> dict[str, Any]:
    """Return what `navigator.credentials.create` takes, as JSON."""
    options = generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_id=user_handle,
        user_name=str(member_id),
        challenge=challenge,
        timeout=TTL_SECONDS * 1000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return dict(json.loads(options_to_json(options)))


def request_options(party: RelyingParty, *, challenge: bytes) -> dict[str, Any]:
    """Return what `navigator.credentials.get` takes, as JSON; it names nobody's keys."""
    options = generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=TTL_SECONDS * 1000,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict(json.loads(options_to_json(options)))


def challenge_of(credential: dict[str, Any]) -> bytes | None:
    """Return which challenge an answer says that it signs; None for what is no answer."""

    def said() -> bytes:
        client = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        return base64url_to_bytes(client["challenge"])

    challenge = _read(said)
    return challenge if challenge is not None and len(challenge) == 32 else None


def credential_id_of(credential: dict[str, Any]) -> bytes | None:
    """Return which key an answer says that it is signed by; None for what is no answer."""
    return _read(lambda: base64url_to_bytes(credential["rawId"]))


def user_handle_of(credential: dict[str, Any]) -> bytes | None:
    """Return whom the authenticator takes the user for; None if it does not say."""
    return _read(lambda: base64url_to_bytes(credential["response"]["userHandle"]))


def read_new(party: RelyingParty, credential: dict[str, Any], *, challenge: bytes) -> NewKey | None:
    """Return the key that an authenticator made for this challenge; None if it did not."""
    found = _read(
        lambda: verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            require_user_verification=True,
        )
    )
    if found is None:
        return None
    return NewKey(found.credential_id, found.credential_public_key, found.sign_count)


def read_use(
    party: RelyingParty,
    credential: dict[str, Any],
    *,
    challenge: bytes,
    public_key: bytes,
    sign_count: int,
) -> int | None:
    """Return the key's new sign count if it signed this challenge; None if it did not.

    A count that does not grow tells of a copied key: it did not, then.
    """
    found = _read(
        lambda: verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    )
    return None if found is None else found.new_sign_count


def _read(credential: Callable[[], Read]) -> Read | None:
    """Return what is read of an answer; None for whatever else a stranger sent.

    The library and its parsers raise many things for that.
    """
    try:
        return credential()
    except Exception:
        return None
