"""`hub settle verify FILE`: prove a downloaded statement; `hub settle keys`: what proves it."""

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hub.config import load_settings
from hub.crypto.keyring import load
from hub.crypto.signing import public_keys
from hub.errors import Malformed, Rejected
from hub.settlement.documents.truth import Proven, prove_file


def verify(
    file: Annotated[Path, typer.Argument(help="a statement downloaded as .json")],
    lines: Annotated[
        Path | None, typer.Option(help="its .csv, whose lines are proven as well")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="the hub's public key, in base64; unsaid: this keyring's")
    ] = None,
) -> None:
    """Prove that a statement is as it was issued, and was signed by this hub."""
    proven = prove_file(_read(file))
    trusted = _trusted(key)
    if proven.signature.public_key not in trusted:
        raise Rejected("the statement is signed by somebody else's key", field="public_key")
    if lines is not None:
        _prove_lines(lines, proven)
    body = proven.body
    nets = ", ".join(f"{net['currency']} {net['amount']}" for net in body["nets"]) or "nothing"
    typer.echo(
        f"{body['period']['code']} {body['business']}: as it was issued, {body['lines']['count']} "
        f"lines, net {nets}\nSHA-256 {proven.sha256.hex()}, signed with key version "
        f"{proven.signature.key_version}"
    )


def keys() -> None:
    """Show the public keys that statements are signed with, to be given to who verifies them."""
    keyring = load(load_settings().keyring_path)
    table = Table("version", "Ed25519 public key (base64)", "state")
    for version, key in public_keys(keyring).items():
        state = "active" if version == keyring.signing.active else ""
        table.add_row(str(version), base64.b64encode(key).decode(), state)
    Console().print(table)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as bad:
        raise Malformed(f"{file} cannot be read: {bad.strerror}", field="file") from bad


def _trusted(key: str | None) -> set[bytes]:
    if key is None:
        return set(public_keys(load(load_settings().keyring_path)).values())
    try:
        return {base64.b64decode(key, validate=True)}
    except binascii.Error as bad:
        raise Malformed(f"the key is not base64 ({bad})", field="key") from bad


def _prove_lines(file: Path, proven: Proven) -> None:
    """Prove the records `line` of a CSV; raises Rejected when they are not the statement's."""
    body = proven.body
    begins = f"{body['period']['code']},{body['business']},line,".encode()
    digest, count = hashlib.sha256(), 0
    try:
        with file.open("rb") as rows:
            for row in rows:
                if row.startswith(begins):
                    digest.update(row)
                    count += 1
    except OSError as bad:
        raise Malformed(f"{file} cannot be read: {bad.strerror}", field="lines") from bad
    if (count, digest.hexdigest()) != (body["lines"]["count"], body["lines"]["sha256"]):
        raise Rejected(
            f"the lines of {file} are not the statement's: {count} of {body['lines']['count']}, "
            "or changed",
            field="lines",
        )
