"""Pin: what staff choose to be shown of a member's attribute, whatever the rules would choose."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Hint, HintType
from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.errors import Malformed, NotFound, Rejected
from hub.members.identifiers import Manner, read
from hub.members.survivorship import ATTRIBUTES
from hub.members.wording import LONGEST_ACTOR, checked

LONGEST_VALUE = 200

# Whoever pins or unpins for a member waits for whoever does so before.
LOCK = text("""
SELECT member_id, erased_at FROM member WHERE member_id = (
  SELECT coalesce(merged_into, member_id) FROM member WHERE member_id = :member_id)
FOR NO KEY UPDATE
""")
LATEST = text("""
SELECT p.pin_id, p.account_id, p.shows, p.ciphertext, k.wrapped
FROM account_link l JOIN member m ON m.member_id = l.member_id AND upper_inf(l.valid)
JOIN pin p ON p.account_id = l.account_id AND p.attribute = :attribute
JOIN account_key k ON k.account_id = p.account_id
WHERE m.member_id = :member_id OR m.merged_into = :member_id
ORDER BY p.pin_id DESC LIMIT 1
""")
INSERT = text("""
INSERT INTO pin (account_id, pinned_at, attribute, shows, pinned_by, reason, ciphertext)
VALUES (:account_id, :now, :attribute, :shows, :actor, :reason, :ciphertext)
""")
_ACCOUNTS = text("""
SELECT a.account_id, k.wrapped, b.country, EXISTS (SELECT 1 FROM account_profile p
    WHERE p.account_id = a.account_id AND p.attribute = :attribute) AS says
FROM account_link l JOIN member m ON m.member_id = l.member_id AND upper_inf(l.valid)
JOIN account a ON a.account_id = l.account_id
JOIN account_key k ON k.account_id = a.account_id
JOIN business b ON b.business_id = a.business_id
WHERE m.member_id = :member_id OR m.merged_into = :member_id
ORDER BY a.account_id
""")


class NothingToPin(Rejected):
    """The account says nothing of the attribute, or is not the member's."""

    code = "nothing_to_pin"


async def pin_attribute(
    db: AsyncConnection,
    *,
    member_id: int,
    attribute: str,
    actor: str,
    reason: str,
    now: datetime,
    keyring: Keyring,
    account_id: int | None = None,
    value: str | None = None,
) -> int:
    """Pin an attribute to what `account_id` says of it, or to a `value` of staff's own.

    A pin supersedes the member's earlier one; the same again adds nothing. It is kept with the
    account (a value with the member's oldest one, or the one named, under its key), and counts for
    the member whose account that is, through merges and splits. Returns the member it was.

    Raises NotFound for an unknown or erased member, NothingToPin, Malformed for words that say
    nothing and a value that the attribute cannot be.
    """
    checked(reason, field="reason")
    checked(actor, field="actor", longest=LONGEST_ACTOR)
    known_attribute(attribute)
    if value is None and account_id is None:
        raise Malformed("say which account's value, or give a value", field="account")
    member_id = await lock_member(db, member_id)
    rows = await db.execute(_ACCOUNTS, {"member_id": member_id, "attribute": attribute})
    accounts = [row for row in rows if account_id in (None, row.account_id)]
    if not accounts:
        raise NothingToPin("this is not an account of the member", field="account")
    account = accounts[0]
    before = await _latest(db, member_id, attribute)
    written = None if value is None else _normal(attribute, value, account.country, now, keyring)
    if written is None and not account.says:
        raise NothingToPin(f"this account says nothing of the {attribute}", field="account")
    if before is not None and _same(before, attribute, account.account_id, written, keyring):
        return member_id
    await db.execute(
        INSERT,
        {
            "account_id": account.account_id,
            "attribute": attribute,
            "shows": "account" if written is None else "value",
            "ciphertext": None if written is None else _seal(account, attribute, written, keyring),
            "actor": actor,
            "reason": reason,
            "now": now,
        },
    )
    return member_id


def known_attribute(attribute: str) -> None:
    """Raise Malformed for what is no attribute that is shown."""
    if attribute not in ATTRIBUTES:
        raise Malformed(f"an attribute is one of {', '.join(ATTRIBUTES)}", field="attribute")


async def lock_member(db: AsyncConnection, member_id: int) -> int:
    """Lock the member whom an id leads to, and return it; raises NotFound."""
    found = (await db.execute(LOCK, {"member_id": member_id})).first()
    if found is None or found.erased_at is not None:
        raise NotFound(f"there is no member {member_id}", field="member_id")
    locked: int = found.member_id
    return locked


async def _latest(db: AsyncConnection, member_id: int, attribute: str) -> Any:
    return (await db.execute(LATEST, {"member_id": member_id, "attribute": attribute})).first()


def _normal(attribute: str, value: str, country: str, now: datetime, keyring: Keyring) -> str:
    """Return a value in the form in which it is shown; raises Malformed for what cannot be one."""
    checked(value, field="value", longest=LONGEST_VALUE)
    hint = Hint(type=HintType(attribute), value=value, verified=False)
    reading = read([hint], keyring=keyring, manner=Manner(country), on=now.date())
    if not reading.traits:
        raise Malformed(f"this cannot be a {attribute}", field="value")
    return reading.traits[0].text


def _seal(account: Any, attribute: str, written: str, keyring: Keyring) -> bytes:
    key = fields.unwrap(keyring, account.wrapped, account_id=account.account_id)
    return key.encrypt(written, table="pin", column=attribute, row=str(account.account_id))


def _same(
    before: Any, attribute: str, account_id: int, written: str | None, keyring: Keyring
) -> bool:
    """Whether the pin in force says it already."""
    if written is None:
        return bool(before.shows == "account" and before.account_id == account_id)
    if before.shows != "value" or before.account_id != account_id:
        return False
    key = fields.unwrap(keyring, before.wrapped, account_id=account_id)
    kept = key.decrypt(before.ciphertext, table="pin", column=attribute, row=str(account_id))
    return kept == written
