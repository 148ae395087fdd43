"""The truth of a statement: canonical JSON, its hash, and the signed file that proves itself. Pure.

Canonical is RFC 8785 for what a statement holds: objects with sorted ASCII names, texts, whole
numbers and truth values, no insignificant space, UTF-8. Amounts are texts in major units.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from hub.crypto.signing import ALGORITHM, Signature, is_signed
from hub.errors import Malformed, Rejected

FORMAT = "group-membership-hub/statement/1"
Body = dict[str, Any]


def canonical(body: Body) -> bytes:
    """Return the one sequence of bytes that `body` has."""
    return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def signed_file(body: bytes, signature: Signature | None) -> bytes:
    """Return the JSON that is downloaded: the statement, its hash and who signed it."""
    seal = None
    if signature is not None:
        seal = {
            "algorithm": ALGORITHM,
            "key_version": signature.key_version,
            "public_key": base64.b64encode(signature.public_key).decode(),
            "value": base64.b64encode(signature.signature).decode(),
        }
    # The statement stands in the file byte for byte, so that no reader's JSON can change it.
    return b'{"statement":%s,"sha256":"%s","signature":%s}\n' % (
        body,
        hashlib.sha256(body).hexdigest().encode(),
        json.dumps(seal, sort_keys=True).encode(),
    )


@dataclass(frozen=True, slots=True)
class Proven:
    """A file whose hash and signature hold; whether its key is ours is for the caller to say."""

    body: Body
    sha256: bytes
    signature: Signature


def prove_file(file: bytes) -> Proven:
    """Read a downloaded statement and prove that nothing of it was changed.

    Raises Malformed for what is no statement, Rejected when it was changed or is not signed.
    """
    try:
        found = json.loads(file)
        statement, said, seal = found["statement"], found["sha256"], found["signature"]
        is_ours = statement["format"] == FORMAT
    except (ValueError, KeyError, TypeError) as bad:
        raise Malformed(
            f"this is no statement ({bad}): give the file downloaded as .json", field="file"
        ) from None
    if not is_ours:
        raise Malformed(f"statements of format {statement['format']!r} are not known", field="file")
    digest = hashlib.sha256(canonical(statement))
    if digest.hexdigest() != said:
        raise Rejected("the statement was changed: its content has another hash", field="sha256")
    if seal is None:
        raise Rejected("the statement is not signed: download it again", field="signature")
    try:
        signature = Signature(
            key_version=int(seal["key_version"]),
            public_key=base64.b64decode(seal["public_key"], validate=True),
            signature=base64.b64decode(seal["value"], validate=True),
        )
    except (KeyError, TypeError, ValueError, binascii.Error) as bad:
        raise Malformed(f"the signature cannot be read ({bad})", field="signature") from None
    if not is_signed(
        canonical(statement), signature=signature.signature, public_key=signature.public_key
    ):
        raise Rejected("the signature is not that of this statement", field="signature")
    return Proven(statement, digest.digest(), signature)
