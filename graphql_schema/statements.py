"""Statements: what a business was told of a period, and where it is downloaded."""

from base64 import b64encode
from datetime import datetime

import strawberry

from hub.settlement import queries


@strawberry.type(description="Where a statement is downloaded, with the same bearer token.")
class StatementLinks:
    """Paths below the hub's address."""

    json: str = strawberry.field(description="The statement, its hash and signature.")
    csv: str = strawberry.field(description="With all lines (RFC 4180, UTF-8).")
    xlsx: str = strawberry.field(description="With all lines, and totals that follow from them.")
    pdf: str = strawberry.field(description="For people; `?lang=zh` or `?lang=en`.")


@strawberry.type(description="A business's statement of a period, as it was issued.")
class Statement:
    """A statement, never changed."""

    body: str | None = strawberry.field(
        description="The statement as canonical JSON (RFC 8785); null for one of before."
    )
    sha256: str = strawberry.field(description="SHA-256 of the body's bytes, in hexadecimal.")
    signature: str | None = strawberry.field(
        description="Ed25519 signature of the body, in base64; null until it is signed."
    )
    public_key: str | None = strawberry.field(description="The signer's public key, in base64.")
    created_at: datetime = strawberry.field(description="When it was issued.")
    links: StatementLinks = strawberry.field(description="Where it is downloaded.")

    @classmethod
    def of(cls, row: queries.Statement, *, period: str, business: str) -> "Statement":
        """Show a statement."""
        seal = row.signature
        path = f"/statements/{period}/{business}"
        return cls(
            body=None if row.body is None else row.body.decode(),
            sha256=row.sha256.hex(),
            signature=None if seal is None else b64encode(seal.signature).decode(),
            public_key=None if seal is None else b64encode(seal.public_key).decode(),
            created_at=row.created_at,
            links=StatementLinks(
                **{kind: f"{path}.{kind}" for kind in ("json", "csv", "xlsx", "pdf")}
            ),
        )
