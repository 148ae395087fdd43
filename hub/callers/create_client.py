"""Create a client: a system that calls for itself, with its first secret."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers import secrets
from hub.callers.queries import Client, client
from hub.callers.rotate_secret import add_secret
from hub.crypto.scopes import OF_ROLE, Role, fitting_scopes
from hub.errors import Conflict, Malformed
from hub.programme.queries import business_by_code

ID = re.compile(r"[a-z0-9][a-z0-9-]{2,49}")
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A client and a new secret of it, which is shown this once."""

    client: Client
    secret: str = field(repr=False)
    expires_at: datetime | None = None


async def create_client(
    db: AsyncConnection,
    *,
    client_id: str,
    name: str,
    role: Role,
    business: str | None,
    scopes: Iterable[str] | None,
    actor: str,
    now: datetime,
) -> ClientSecret:
    """Create a client of a business, or of the group as staff, finance or admin.

    `scopes` are what its tokens may be good for; None: all that the role may have. A client never
    gets more: to widen it, create another. The id is chosen by who creates it, so that the same
    request again is told from another client: it is a Conflict, and `rotate_secret` gives a new
    secret to who has lost the answer.

    Raises Malformed which names the field, NotFound for the business, Conflict for an id in use.
    """
    if ID.fullmatch(client_id) is None:
        raise Malformed(
            "a client's id is 3 to 50 small letters, digits and hyphens", field="client_id"
        )
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise Malformed(f"a name is 1 to {LONGEST_NAME} printable characters", field="name")
    if role is Role.MEMBER:
        raise Malformed("members sign in themselves: no client acts for them", field="role")
    if (role is Role.BUSINESS) != (business is not None):
        raise Malformed(
            "a client of a business, and no other, names the business", field="business"
        )
    granted = OF_ROLE[role] if scopes is None else fitting_scopes(scopes, role=role)
    if not granted:
        raise Malformed("a client without a scope could do nothing", field="scopes")
    made = await db.execute(
        text("""
          INSERT INTO api_client (client_id, name, role, business_id, scopes, created_at,
            created_by)
          VALUES (:client_id, :name, :role, :business_id, :scopes, :now, :actor)
          ON CONFLICT (client_id) DO NOTHING"""),
        {
            "client_id": client_id,
            "name": name,
            "role": role.value,
            "business_id": business and (await business_by_code(db, business)).business_id,
            "scopes": sorted(granted),
            "now": now,
            "actor": actor,
        },
    )
    if made.rowcount == 0:
        raise Conflict(
            f"there is a client {client_id!r}: choose another id, or give it a new secret",
            field="client_id",
        )
    secret = secrets.make("hubs_")
    await add_secret(db, client_id=client_id, secret=secret, actor=actor, now=now)
    return ClientSecret(await client(db, client_id=client_id, now=now), secret)
