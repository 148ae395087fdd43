"""What accounts have in common, stored so that a run need only look at those that changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.members.batch.reading import Sheet
from hub.members.matching.keys import NONE, Keys, keys, pass_of
from hub.members.matching.population import Marker
from hub.members.matching.table import Table

CHUNK_KEYS = 5_000
EVERYBODY = 0
"""Among the accounts that changed: what changed says something else of all of them."""

# One more than are compared tells that there are too many.
_SHARING = text("""
SELECT k.key, array(SELECT f.account_id FROM match_feature f WHERE f.keys @> ARRAY[k.key]
  LIMIT k.at_most + 1) AS accounts
FROM unnest(CAST(:keys AS bigint[]), CAST(:limits AS integer[])) AS k (key, at_most)
""")


@dataclass(frozen=True, slots=True)
class Feature:
    """What is stored of an account: a mark of all it says, and its keys."""

    mark: int
    keys: frozenset[int]


async def take_changes(db: AsyncConnection) -> set[int]:
    """Take the accounts that were written since somebody last took them, EVERYBODY among them.

    What is not committed yet stays for the next one; if this transaction fails, all does.
    """
    return set((await db.scalars(text("DELETE FROM match_change RETURNING account_id"))).all())


def keys_of(sheet: Sheet, table: Table, marker: Marker) -> Keys:
    """Return the keys of the accounts of a sheet."""
    return keys(table, marker, {"openid": sheet.marks(HintType.OPENID, marker)})


async def stored(db: AsyncConnection, *, account_ids: Iterable[int]) -> dict[int, Feature]:
    """Return what is stored of these accounts."""
    rows = await db.execute(
        text("""
          SELECT account_id, mark, keys FROM match_feature
          WHERE account_id = ANY (CAST(:accounts AS bigint[]))"""),
        {"accounts": list(account_ids)},
    )
    return {row.account_id: Feature(row.mark, frozenset(row.keys)) for row in rows}


async def replace(
    db: AsyncConnection, *, sheet: Sheet, found: Keys, gone: Sequence[int] | None
) -> None:
    """Store the features of a sheet's accounts, and forget those of `gone`; None: all others."""
    if gone is None:
        await db.execute(text("DELETE FROM match_feature"))
    else:
        await db.execute(
            text("DELETE FROM match_feature WHERE account_id = ANY (CAST(:gone AS bigint[]))"),
            {"gone": [*gone, *sheet.accounts]},
        )
    raw: Any = (await db.get_raw_connection()).driver_connection
    await raw.copy_records_to_table(
        "match_feature",
        records=(
            (account, mark, row[row != NONE].tolist())
            for account, mark, row in zip(sheet.accounts, sheet.changed_marks, found, strict=True)
        ),
        columns=["account_id", "mark", "keys"],
    )


async def partners(
    db: AsyncConnection,
    *,
    now: Mapping[int, Iterable[int]],
    before: Mapping[int, Iterable[int]],
    limits: Sequence[int],
) -> set[tuple[int, int]]:
    """Return the pairs of accounts that are to be compared because some accounts changed.

    `now` and `before` are the keys of those, which are stored already. An account is compared with
    all that share a key with it, unless too many do; and if so many left a key that it is no longer
    shared by too many, all who still share it are compared.
    """
    joined, left = _by_key(now), _by_key(before)
    wanted = sorted(joined.keys() | left.keys())
    found: set[tuple[int, int]] = set()
    for start in range(0, len(wanted), CHUNK_KEYS):
        part = wanted[start : start + CHUNK_KEYS]
        facts = {"keys": part, "limits": [limits[pass_of(key)] for key in part]}
        for row in await db.execute(_SHARING, facts):
            here, limit = row.accounts, limits[pass_of(row.key)]
            if len(here) > limit:
                continue
            came, went = joined.get(row.key, set()), left.get(row.key, set())
            were = len(here) - len(came - went) + len(went - came)
            changed = set(here) if were > limit else came
            found |= {
                (min(one, other), max(one, other))
                for one in changed
                for other in here
                if one != other
            }
    return found


def _by_key(keys_of_accounts: Mapping[int, Iterable[int]]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for account, own in keys_of_accounts.items():
        for key in own:
            found.setdefault(key, set()).add(account)
    return found


def as_lists(sheet: Sheet, found: Keys) -> dict[int, list[int]]:
    """Return the keys of each account of a sheet."""
    return {
        account: row[row != NONE].tolist()
        for account, row in zip(sheet.accounts, found, strict=True)
    }


def places(sheet: Sheet, pairs: Iterable[tuple[int, int]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return pairs of accounts as pairs of places in a sheet; unknown ones are left out."""
    at = {account: place for place, account in enumerate(sheet.accounts)}
    rows = [(at[a], at[b]) for a, b in pairs if a in at and b in at]
    return np.array(sorted(rows), np.int64).reshape(-1, 2)
