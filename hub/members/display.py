"""A member as shown: of each attribute the value that survives, decrypted on read, with its source.

Survivorship is a rule (`hub.members.survivorship`), not a stored result: splitting a wrong merge
needs no repair of what is shown.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.crypto import fields
from hub.crypto.fields import DataKey
from hub.crypto.keyring import Keyring
from hub.db.relation import Relation
from hub.members.masking import masked
from hub.members.survivorship import Because, Pin, Survivor, Trait, survivors


# Keys are joined inside: an account whose key was destroyed has nothing to show. Pins of accounts
# that are not to be seen are read too: they have ended what was pinned before them. `LIMIT 1` of
# what is found by its key holds the planner to the index: it takes a person for a dozen accounts.
def profiles(condition: str) -> Relation:
    """Return the read of what accounts say of members, who are shown by `view_of`.

    Only accounts are shown that meet `condition`: SQL on the account `a` of whom `w.wanted` now is.
    Sources are ranked as is in force at `:now`.
    """
    return Relation(
        f"""
WITH ranked AS (
  SELECT DISTINCT ON (attribute) attribute, businesses FROM source_rank
  WHERE effective_from <= :now ORDER BY attribute, effective_from DESC
)
SELECT w.wanted, coalesce(m.merged_into, m.member_id) AS member_id, array(
    SELECT row(a.account_id, a.business_id, k.wrapped)
    FROM account a CROSS JOIN LATERAL (
      SELECT wrapped FROM account_key WHERE account_id = a.account_id LIMIT 1
    ) k
    WHERE a.account_id = ANY (own.accounts)
      AND ({condition})
  ) AS accounts, array(
    SELECT row(p.account_id, a.business_id, p.attribute, p.ciphertext, p.verified, p.observed_at,
      array_position(r.businesses, a.business_id))
    FROM account_profile p CROSS JOIN LATERAL (
      SELECT business_id FROM account WHERE account_id = p.account_id LIMIT 1
    ) a
    LEFT JOIN ranked r ON r.attribute = p.attribute
    WHERE p.account_id = ANY (own.accounts)
      AND p.attribute IN ('name', 'phone', 'email', 'birthday')
  ) AS traits, array(
    SELECT DISTINCT ON (p.attribute) row(p.account_id, a.business_id, p.attribute, p.shows,
      p.ciphertext, p.pinned_at, p.pinned_by, p.reason)
    FROM pin p JOIN account a ON a.account_id = p.account_id
    WHERE p.account_id = ANY (own.accounts) ORDER BY p.attribute, p.pin_id DESC
  ) AS pins
FROM unnest(CAST(:member_ids AS bigint[])) AS w (wanted)
JOIN member m ON m.member_id = w.wanted
CROSS JOIN LATERAL (
  SELECT array_agg(l.account_id) AS accounts FROM (
    SELECT coalesce(m.merged_into, m.member_id) AS born_id
    UNION ALL
    SELECT f.member_id FROM member f WHERE f.merged_into = coalesce(m.merged_into, m.member_id)
  ) family
  JOIN account_link l ON l.member_id = family.born_id AND upper_inf(l.valid)
) own
""",  # noqa: S608 - constants of ours
        ("wanted", "member_id", "accounts", "traits", "pins"),
    )


_PROFILES = profiles("CAST(:businesses AS smallint[]) IS NULL OR a.business_id = ANY (:businesses)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One attribute of a member, who says so since when, and why this value is shown.

    `account_id` is None for staff's own words, which are kept with an account of `business_id`.
    """

    value: str
    masked: str
    business_id: int
    account_id: int | None
    verified: bool
    observed_at: datetime
    because: Because
    pin: Pin | None


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
    now: datetime,
    keyring: Keyring,
    businesses: Sequence[int] | None = None,
) -> dict[int, MemberView]:
    """Return how members are shown, by the ids asked for. Unknown ids are left out.

    Sources are ranked as is in force at `now`. Given `businesses`, only what these know is shown.

    Raises Undecipherable when the keyring is not the one that the database was written with.
    """
    wanted = {"member_ids": list(dict.fromkeys(member_ids)), "businesses": businesses, "now": now}
    rows = await db.execute(_PROFILES.statement, wanted)
    return {row.wanted: view_of(row, keyring) for row in rows}


def view_of(
    row: Sequence[Any], keyring: Keyring, *, only: Collection[str] | None = None
) -> MemberView:
    """Read a member from a row of `profiles`; raises Undecipherable as `display` does.

    `only` these attributes are decrypted, if they are given.
    """
    _, member_id, accounts, traits, pins = row
    seen = {account_id: wrapped for account_id, _, wrapped in accounts}
    best = survivors(
        (Trait(*one) for one in traits if one[0] in seen),
        (Pin(*one) for one in pins if one[0] in seen),
    )
    keys: dict[int, DataKey] = {}
    return MemberView(
        member_id=member_id,
        **{
            name: _shown(one, name, seen, keys, keyring)
            for name, one in best.items()
            if only is None or name in only
        },
    )


def _shown(
    one: Survivor, attribute: str, seen: dict[int, Any], keys: dict[int, DataKey], keyring: Keyring
) -> Shown:
    trait = one.trait
    if trait.account_id not in keys:
        wrapped = seen[trait.account_id]
        keys[trait.account_id] = fields.unwrap(keyring, wrapped, account_id=trait.account_id)
    value = keys[trait.account_id].decrypt(
        trait.ciphertext,
        table="pin" if one.by_staff else "account_profile",
        column=attribute,
        row=str(trait.account_id),
    )
    return Shown(
        value=value,
        masked=masked(HintType(attribute), value),
        business_id=trait.business_id,
        account_id=None if one.by_staff else trait.account_id,
        verified=trait.verified,
        observed_at=trait.observed_at,
        because=one.because,
        pin=one.pin,
    )
