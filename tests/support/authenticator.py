"""An authenticator in software: makes passkeys and signs challenges, well or wrongly."""

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

_PRESENT, _VERIFIED, _NEW = 0x01, 0x04, 0x40


def coded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass
class Authenticator:
    """One device with one key. Its attributes are what a test gets wrong on purpose."""

    origin: str
    rp_id: str
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    count: int = 0
    flags: int = _PRESENT | _VERIFIED
    handle: str | None = None

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Make the key, as `navigator.credentials.create` answers."""
        self.handle = options["user"]["id"]
        public = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)}
        data = (
            self._data(_NEW)
            + bytes(16)
            + struct.pack(">H", len(self.credential_id))
            + self.credential_id
            + cbor2.dumps(cose)
        )
        attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": coded(self._client("webauthn.create", options)),
            "attestationObject": coded(attested),
            "transports": ["internal"],
        }
        return self._credential(response)

    def get(self, options: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Sign a challenge, as `navigator.credentials.get` answers."""
        self.count += 1
        data, client = self._data(0), self._client("webauthn.get", options)
        signed = data + hashlib.sha256(client).digest()
        response = {
            "clientDataJSON": coded(client),
            "authenticatorData": coded(data),
            "signature": coded(self.key.sign(signed, ec.ECDSA(SHA256()))),
            "userHandle": self.handle,
            **more,
        }
        return self._credential(response)

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin}
        return json.dumps(said).encode()

    def _data(self, more: int) -> bytes:
        place = hashlib.sha256(self.rp_id.encode()).digest()
        return place + bytes([self.flags | more]) + struct.pack(">I", self.count)

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        id_ = coded(self.credential_id)
        return {"id": id_, "rawId": id_, "type": "public-key", "response": response,
                "clientExtensionResults": {}}  # fmt: skip
