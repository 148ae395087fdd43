"""The words by which a person is found in what systems sent: identifiers and businesses' ids."""

from phonenumbers import NumberParseException, national_significant_number
from phonenumbers import parse as parse_phone
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.crypto import fields
from hub.crypto.fields import DataKey
from hub.crypto.keyring import Keyring
from hub.intake.mentions import Telling
from hub.members.batch.reading import IDENTIFYING
from hub.members.family import Family

_PROFILES = text("""
SELECT k.account_id, k.wrapped, p.attribute, p.ciphertext, p.verified, p.observed_at
FROM account_key k JOIN account_profile p USING (account_id)
WHERE k.account_id = ANY (CAST(:accounts AS bigint[])) ORDER BY k.account_id, p.attribute
""")

_PINS = text("""
SELECT p.account_id, p.attribute, p.shows, p.pinned_at, p.reason, p.ciphertext, k.wrapped
FROM account_key k JOIN pin p USING (account_id)
WHERE k.account_id = ANY (CAST(:accounts AS bigint[])) ORDER BY p.pin_id
""")


async def profiles(
    db: AsyncConnection, *, family: Family, keyring: Keyring
) -> dict[int, list[dict[str, object]]]:
    """Return in the clear what each account says of its person, by account."""
    found: dict[int, list[dict[str, object]]] = {}
    keys: dict[int, DataKey] = {}
    for row in await db.execute(_PROFILES, {"accounts": family.account_ids}):
        if row.account_id not in keys:
            key = fields.unwrap(keyring, row.wrapped, account_id=row.account_id)
            keys[row.account_id] = key
        value = keys[row.account_id].decrypt(
            row.ciphertext, table="account_profile", column=row.attribute, row=str(row.account_id)
        )
        found.setdefault(row.account_id, []).append(
            {
                "attribute": row.attribute,
                "value": value,
                "verified": row.verified,
                "observed_at": row.observed_at,
            }
        )
    return found


async def pins(db: AsyncConnection, *, family: Family, keyring: Keyring) -> list[dict[str, object]]:
    """Return in the clear what staff chose to be shown of a member, and why."""
    told = []
    for row in await db.execute(_PINS, {"accounts": family.account_ids}):
        pin = row._asdict()
        wrapped, ciphertext = pin.pop("wrapped"), pin.pop("ciphertext")
        if ciphertext is not None:
            key = fields.unwrap(keyring, wrapped, account_id=row.account_id)
            place = {"table": "pin", "column": row.attribute, "row": str(row.account_id)}
            pin["value"] = key.decrypt(ciphertext, **place)
        told.append(pin)
    return told


async def words_of(db: AsyncConnection, *, family: Family, keyring: Keyring) -> Telling:
    """Return what tells of this person and of hardly anybody else."""
    words: set[str] = set()
    for traits in (await profiles(db, family=family, keyring=keyring)).values():
        for trait in traits:
            if trait["attribute"] in IDENTIFYING:
                words.add(str(trait["value"]))
            if trait["attribute"] == HintType.PHONE:
                words.add(_national(str(trait["value"])))
    external_ids = [one.external_id for one in family.accounts if not one.walk_in]
    return Telling(words, external_ids)


def _national(phone: str) -> str:
    """Return an E.164 number as it is written within its country, without the leading zero."""
    try:
        return national_significant_number(parse_phone(phone))
    except NumberParseException:
        return phone
