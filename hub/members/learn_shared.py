"""Learn which identifiers are shared: a desk's phone typed for every guest, a family's mailbox."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto import fields
from hub.crypto.keyring import Keyring
from hub.members.identifiers import Identifier, Kind
from hub.members.standing import identifier_locks
from hub.members.telling_apart import birthdays_apart, names_apart

# A person may be recorded twice or thrice by one business; oftener it is the desk's own number.
MOST_ACCOUNTS = 5
# Two people with one phone are a couple, or one of them had it before: that is put to review.
MOST_PEOPLE = 2
_LOOKED_AT = 40
_LEARNED = {Kind.PHONE, Kind.EMAIL}

_GIVERS = text("SELECT * FROM people_givers(:kinds, :digests, :looked_at, :most_people)")

_SHARE = text("""
SELECT share_identifier(CAST(:locks AS bigint[]), CAST(:kind AS smallint),
  CAST(:digests AS bytea[]), CAST(:key_version AS integer), :why, CAST(:accounts AS integer),
  CAST(:now AS timestamptz))
""")


@dataclass(frozen=True, slots=True)
class _Giver:
    """An account that gives an identifier, and what tells its person from others."""

    business_id: int
    walk_in: bool
    names: tuple[str, ...]
    birthdays: tuple[str, ...]


async def learn_shared(
    db: AsyncConnection,
    *,
    identifiers: Iterable[Identifier],
    now: datetime,
    keyring: Keyring,
    givers: Iterable[Row[Any]] | None = None,
) -> int:
    """Mark those of the identifiers that turn out to be shared; returns how many.

    Shared is a phone or email that more than MOST_ACCOUNTS accounts of one business give, or more
    than MOST_PEOPLE people who cannot be each other by name or birthday. From then on it links
    nobody and is kept as evidence; what it had linked is put to review. Two callers at once may
    each see too few: whoever gives it next, or the nightly look, sees all. `givers`: the answer to
    `asking` about them, where the caller has it already.
    """
    some = [one for one in identifiers if one.kind in _LEARNED]
    if not some:
        return 0
    if givers is None:
        givers = await db.execute(_GIVERS, asking(some))
    by_digest = {(int(one.kind), digest): one for one in some for digest in one.digests}
    people: dict[Identifier, list[_Giver]] = defaultdict(list)
    for row in givers:
        people[by_digest[row.kind, row.digest]].append(_giver(row, keyring))
    marked = 0
    for identifier, who in sorted(people.items(), key=lambda item: item[0].digest):
        if (why := _why_shared(who)) is not None:
            marked += await _share(db, identifier, why, len(who), now)
    return marked


def asking(identifiers: Iterable[Identifier]) -> dict[str, Any]:
    """Return what is asked of `people_givers` to learn whether identifiers are shared."""
    asked = [
        (int(one.kind), digest)
        for one in identifiers
        if one.kind in _LEARNED
        for digest in one.digests
    ]
    return {
        "kinds": [kind for kind, _ in asked],
        "digests": [digest for _, digest in asked],
        "looked_at": _LOOKED_AT,
        "most_people": MOST_PEOPLE,
    }


async def _share(
    db: AsyncConnection, identifier: Identifier, why: str, accounts: int, now: datetime
) -> bool:
    return bool(
        await db.scalar(
            _SHARE,
            {
                "locks": identifier_locks(identifier),
                "kind": int(identifier.kind),
                "digests": list(identifier.digests),
                "key_version": identifier.key_version,
                "why": why,
                "accounts": accounts,
                "now": now,
            },
        )
    )


def _giver(row: Any, keyring: Keyring) -> _Giver:
    told: dict[str, tuple[str, ...]] = {"name": (), "birthday": ()}
    if row.wrapped is not None:
        key = fields.unwrap(keyring, row.wrapped, account_id=row.account_id)
        for column in told:
            sealed = getattr(row, column)
            if sealed is not None:
                place = {"table": "account_profile", "column": column, "row": str(row.account_id)}
                told[column] = (key.decrypt(sealed, **place),)
    return _Giver(row.business_id, row.walk_in, told["name"], told["birthday"])


def _why_shared(givers: Sequence[_Giver]) -> str | None:
    records = Counter(one.business_id for one in givers if not one.walk_in)
    if max(records.values(), default=0) > MOST_ACCOUNTS:
        return "fan_out"
    people: list[_Giver] = []
    for one in givers:
        if all(_apart(one, other) for other in people):
            people.append(one)
    return "contradictions" if len(people) > MOST_PEOPLE else None


def _apart(one: _Giver, other: _Giver) -> bool:
    return names_apart(one.names, other.names) or birthdays_apart(one.birthdays, other.birthdays)
