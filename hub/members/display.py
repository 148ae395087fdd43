"""A member as shown: of each attribute the best value that any business has, decrypted on read.

Survivorship is a rule, not a stored result: verified beats unverified, then the latest observation
wins. Splitting a wrong merge therefore needs no repair of what is shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.crypto import fields
from hub.crypto.fields import DataKey
from hub.crypto.keyring import Keyring
from hub.members.masking import masked

# Keys are joined inside: an account whose key was destroyed has nothing to show.
_PROFILES = text("""
SELECT w.wanted, coalesce(m.merged_into, m.member_id) AS member_id, array(
  SELECT row(a.account_id, a.business_id, k.wrapped, p.attribute, p.ciphertext, p.verified,
    p.observed_at)
  FROM (
    SELECT coalesce(m.merged_into, m.member_id) AS born_id
    UNION ALL
    SELECT f.member_id FROM member f WHERE f.merged_into = coalesce(m.merged_into, m.member_id)
  ) family
  JOIN account_link l ON l.member_id = family.born_id AND upper_inf(l.valid)
  JOIN account a ON a.account_id = l.account_id
    AND (CAST(:businesses AS smallint[]) IS NULL OR a.business_id = ANY (:businesses))
  JOIN account_key k ON k.account_id = a.account_id
  JOIN account_profile p ON p.account_id = a.account_id
    AND p.attribute IN ('name', 'phone', 'email', 'birthday')
) AS traits
FROM unnest(CAST(:wanted AS bigint[])) AS w (wanted)
JOIN member m ON m.member_id = w.wanted
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One attribute of a member, and which business says so since when."""

    value: str
    masked: str
    business_id: int
    verified: bool
    observed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """A member's attributes as they are shown; None where no business knows one.

    `member_id` is the member that the id asked for now is. Phones are in E.164; birthdays
    `YYYY-MM-DD`, or `--MM-DD` without the year.
    """

    member_id: int
    name: Shown | None = None
    phone: Shown | None = None
    email: Shown | None = None
    birthday: Shown | None = None


async def display(
    db: AsyncConnection,
    *,
    member_ids: Sequence[int],
    keyring: Keyring,
    businesses: Sequence[int] | None = None,
) -> dict[int, MemberView]:
    """Return how members are shown, by the ids asked for. Unknown ids are left out.

    Given `businesses`, only what these know is shown.

    Raises Undecipherable when the keyring is not the one that the database was written with.
    """
    wanted = list(dict.fromkeys(member_ids))
    views = {}
    for row in await db.execute(_PROFILES, {"wanted": wanted, "businesses": businesses}):
        best = _survivors(row.traits)
        keys: dict[int, DataKey] = {}
        views[row.wanted] = MemberView(
            member_id=row.member_id,
            **{
                attribute.value: _shown(trait, attribute, keys, keyring)
                for attribute, trait in best.items()
            },
        )
    return views


def _survivors(traits: Iterable[Any]) -> dict[HintType, Any]:
    """Of each attribute, the trait to show; the older account wins where all else is equal."""
    best: dict[HintType, Any] = {}
    for trait in sorted(traits, key=lambda t: (t[5], t[6], -t[0])):
        best[HintType(trait[3])] = trait
    return best


def _shown(trait: Any, attribute: HintType, keys: dict[int, DataKey], keyring: Keyring) -> Shown:
    account_id, business_id, wrapped, _, ciphertext, verified, observed_at = trait
    if account_id not in keys:
        keys[account_id] = fields.unwrap(keyring, wrapped, account_id=account_id)
    value = keys[account_id].decrypt(
        ciphertext, table="account_profile", column=attribute.value, row=str(account_id)
    )
    return Shown(
        value=value,
        masked=masked(attribute, value),
        business_id=business_id,
        verified=verified,
        observed_at=observed_at,
    )
