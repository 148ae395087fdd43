"""Reads on what businesses wrote that is no phone, email, birthday or loyalty number."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.members.recording import AS_GIVEN

# What was corrected since need not be looked at. The condition on attributes is the index's.
_AS_GIVEN = text("""
SELECT p.account_id, a.business_id, a.external_id, p.attribute, p.observed_at, p.ciphertext,
  k.wrapped
FROM account_profile p
JOIN account a ON a.account_id = p.account_id
JOIN account_key k ON k.account_id = p.account_id
WHERE p.attribute IN ('phone_as_given', 'email_as_given', 'birthday_as_given',
    'loyalty_id_as_given')
  AND (CAST(:business_id AS smallint) IS NULL OR a.business_id = :business_id)
  AND NOT EXISTS (SELECT 1 FROM account_profile g
    WHERE g.account_id = p.account_id AND g.observed_at >= p.observed_at
      AND g.attribute || '_as_given' = p.attribute)
ORDER BY p.observed_at DESC, p.account_id, p.attribute LIMIT :limit
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class AsGiven:
    """A value that identifies nobody, masked so that its form can still be seen."""

    account_id: int
    business_id: int
    external_id: str
    attribute: HintType
    masked: str
    observed_at: datetime


async def as_given(
    db: AsyncConnection, *, business_id: int | None, limit: int, keyring: Keyring
) -> list[AsGiven]:
    """Return what is to be corrected, the latest first; None: that of all businesses."""
    rows = await db.execute(_AS_GIVEN, {"business_id": business_id, "limit": limit})
    found = []
    for row in rows:
        key = fields.unwrap(keyring, row.wrapped, account_id=row.account_id)
        given = key.decrypt(
            row.ciphertext, table="account_profile", column=row.attribute, row=str(row.account_id)
        )
        found.append(
            AsGiven(
                account_id=row.account_id,
                business_id=row.business_id,
                external_id=row.external_id,
                attribute=HintType(row.attribute.removesuffix(AS_GIVEN)),
                masked=masked_form(given),
                observed_at=row.observed_at,
            )
        )
    return found


def masked_form(given: str) -> str:
    """Hide all letters and digits but the first two, so that a digit too few can be counted.

    139-1020-304 → 13*-****-***
    """
    shown, form = 0, []
    for character in given:
        hidden = character.isalnum() and shown >= 2
        shown += character.isalnum()
        form.append("*" if hidden else character)
    return "".join(form)
